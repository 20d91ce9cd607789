"""One program, contained: the warm process with its layers, the children that run the program, and their messages.

Everything here runs beside hostile programs, so it may import only the standard library, numpy and this package.
"""
