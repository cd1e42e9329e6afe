"""`python -m fakejuju run CHARM`: timeline.py shows what a charm does."""
import sys

from .timeline import main

sys.exit(main(sys.argv[1:]))
