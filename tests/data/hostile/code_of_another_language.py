# Code that is not Python.
# verdict: syntax error
# test: "3\n", "9\n"

#include <iostream>
int main() { int n; std::cin >> n; std::cout << n * n; }
