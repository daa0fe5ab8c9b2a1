// The requests of a workload: which RPC, which key, which value.
//
// Thread-safety: one RequestMaker a thread; KeySequence is shared by all.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/options.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::bench {

// The key at place `index` of the key space: prefix and number, filled up with
// zeros to the size wanted (longer when they do not fit).
std::string KeyAt(const Options& options, uint64_t index);

// The end of the range of all keys with the prefix.
std::string EndOfPrefix(std::string prefix);

// Small and fast (Vigna's SplitMix64); good enough to choose keys.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, bound), uniform but for one part in 2^64 / bound. REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

// Bytes that do not compress.
std::string RandomBytes(size_t size, uint64_t seed);

// Where the clients are in a sequential or distinct order.
class KeySequence {
 public:
  uint64_t Next() { return next_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> next_{0};
};

class RequestMaker {
 public:
  RequestMaker(const Options& options, KeySequence& sequence, uint64_t seed);

  struct Made {
    std::string_view path;  // of the RPC
    std::string bytes;
  };
  // The next request. `start_ns` is written into the value of a put of the
  // watch workload, see StartOf.
  Made Next(int64_t start_ns);

  // The start_ns in a value made by Next; 0 when there is none.
  static int64_t StartOf(std::string_view value);

 private:
  Made Put(int64_t start_ns);
  Made Range();
  Made Txn();
  uint64_t NextIndex();
  std::string_view Value();

  const Options& options_;
  KeySequence& sequence_;
  Random random_;
  std::string pool_;  // values are cut from it at random places
  etcdserverpb::PutRequest put_;
  etcdserverpb::RangeRequest range_;
  etcdserverpb::TxnRequest txn_;
};

}  // namespace keel::bench
