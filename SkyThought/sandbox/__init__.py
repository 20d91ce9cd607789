"""One program, contained: the layers of containment, the warm process and its children, and their messages.

May import the standard library, numpy and this package only: what is imported here runs beside hostile programs.
"""
