// Carries the compiler flags of a program that uses the pool to the tests in tests/compile.
