"""What happens here, to be seen from outside: counted always, logged and traced by sample."""
