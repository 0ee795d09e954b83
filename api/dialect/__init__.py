"""PostgREST's read dialect: from a query string to SQL, with nothing pasted.

See https://docs.postgrest.org/en/stable/references/api/tables_views.html.
"""
