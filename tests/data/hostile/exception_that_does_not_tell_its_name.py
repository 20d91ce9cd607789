# An exception whose class raises when asked for its name, text or type.
# verdict: runtime error: Nasty | runtime error: exit status 1
# test: "3\n", "9\n"

class Meta(type):
    def __getattribute__(cls, name):
        raise KeyboardInterrupt

    __name__ = property(lambda cls: 1 / 0)


class Nasty(Exception, metaclass=Meta):
    __class__ = property(lambda self: 1 / 0)

    def __str__(self):
        raise MemoryError

    __repr__ = __str__


print(int(input()) ** 2, flush=True)
raise Nasty
