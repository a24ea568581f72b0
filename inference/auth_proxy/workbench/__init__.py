"""The workbench in the browser, as static files."""
