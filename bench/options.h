// What kvbench is asked to do. The command line's --help is the manual.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/tls/context.h"

namespace keel::bench {

enum class Workload { kPut, kRange, kTxn, kMixed, kWatch, kLease, kPages, kIdle, kFill };

enum class KeyOrder {
  kSequential,  // 0, 1, 2, … over the key space, and again, shared by all clients
  kRandom,      // uniform over the key space
  kDistinct,    // never the same key twice
};

struct Options {
  Workload workload = Workload::kPut;
  std::vector<std::string> endpoints = {"127.0.0.1:2379"};
  std::shared_ptr<base::TlsContext> tls;  // null: plain text

  int connections = 10;
  int streams = 10;  // calls in flight on each connection
  int threads = 1;

  uint64_t keys = 10'000;
  KeyOrder order = KeyOrder::kRandom;
  int key_size_bytes = 32;
  int value_size_bytes = 256;
  std::string prefix = "kvbench/";
  int range_keys = 1;   // keys read by one range, or by one list of the pages workload
  int page_keys = 500;  // of the pages workload
  bool serializable = false;
  int read_percent = 80;  // of mixed
  bool prefill = true;    // make the keys that reads will find

  double rate = 0;  // operations a second, over all clients; 0: closed loop
  std::chrono::nanoseconds duration = std::chrono::seconds(10);
  uint64_t total = 0;  // operations; 0: by duration
  std::chrono::nanoseconds warmup = std::chrono::seconds(2);
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);  // of one operation

  int watchers = 100;  // of the watch workload, in all
  int watchers_per_stream = 10;
  // Closed loop of the watch workload: puts that not every watcher has seen yet.
  int window = 64;

  std::vector<int> server_pids;
  bool json = false;
  uint64_t seed = 1;
};

// Parses a command line. Prints help or what is wrong and returns the exit code
// in `exit_code` when there is nothing to run.
std::optional<Options> ParseOptions(int argc, char** argv, int* exit_code);

const char* NameOf(Workload workload);

}  // namespace keel::bench
