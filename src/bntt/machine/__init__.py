"""What surrounds the program: processor, processes, memory, files, signals, terminal."""
