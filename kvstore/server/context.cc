#include "kvstore/server/context.h"

#include <chrono>

namespace keel::kvstore {

namespace {

size_t WriteVarint(uint64_t value, char* to) {
  size_t size = 0;
  while (value >= 0x80) {
    to[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  to[size++] = static_cast<char>(value);
  return size;
}

}  // namespace

uint64_t ServerContext::SystemUnixMs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

void ServerContext::AppendHeader(int64_t revision, std::string* out) const {
  // etcdserverpb.ResponseHeader by hand: it is in front of every response.
  char fields[44];
  size_t size = 0;
  const auto field = [&](int number, uint64_t value) {
    if (value == 0) return;
    fields[size++] = static_cast<char>(number << 3);
    size += WriteVarint(value, fields + size);
  };
  field(1, cluster_id);
  field(2, member_id);
  field(3, static_cast<uint64_t>(revision));
  field(4, node->term());
  out->push_back(1 << 3 | 2);
  out->push_back(static_cast<char>(size));
  out->append(fields, size);
}

}  // namespace keel::kvstore
