"""The lake room: the only code that writes Delta tables, and the dbt plugin that reads them."""
