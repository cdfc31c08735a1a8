"""The sans-IO protocol: values in, values out. It never opens a socket, reads a clock or starts a thread."""
