"""The rows of GOALS.md's table, one module each: what is measured, beside which peer, against which goal."""
