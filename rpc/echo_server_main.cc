// A tiny echo server for the tests that speak to it from other languages.
// Prints its port, and ends when its standard input does.
#include <unistd.h>

#include <cstdio>

#include "rpc/test_echo.h"

int main() {
  keel::rpc::EchoServer echo({.max_request_bytes = 8 * 1024 * 1024});
  std::printf("%u\n", static_cast<unsigned>(echo.Listen()));
  std::fflush(stdout);
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
