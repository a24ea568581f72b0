"""Takes corrections, keeps them whatever happens, and shows the runs they lead to."""
