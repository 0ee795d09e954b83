"""Who may read what is not open: users, their passwords and the tokens they get for them.

The API writes nothing here. Users live in a file that ``python -m api users`` writes; tokens,
refresh tokens included, carry all that is needed to check them.
"""
