"""What is measured: one process runs one job and prints one line of JSON.

Nothing here imports the rest of the package when it is loaded, so the same files run as a
top-level package in another library's environment, which holds torch and that library only.
"""
