"""Looks after tables that exist: says how they are, compacts their files, removes old ones."""
