"""For the processes that bash starts, as hooks/hook.template for Python's."""
import platform

platform.linux_distribution = lambda: ('Ubuntu', '', '')
