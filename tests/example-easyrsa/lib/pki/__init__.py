"""Keys, requests, certificates and the CA, by openssl and easy-rsa. Nothing here knows of Juju."""
