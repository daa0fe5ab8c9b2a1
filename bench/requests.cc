#include "bench/requests.h"

#include <charconv>
#include <cstring>

#include "base/check.h"

namespace keel::bench {

std::string KeyAt(const Options& options, uint64_t index) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), index).ptr;
  const size_t count = static_cast<size_t>(end - digits);
  std::string key = options.prefix;
  const size_t size = static_cast<size_t>(options.key_size_bytes);
  if (key.size() + count < size) key.append(size - key.size() - count, '0');
  key.append(digits, count);
  return key;
}

std::string EndOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  ++prefix.back();
  return prefix;
}

std::string RandomBytes(size_t size, uint64_t seed) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random.Next();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

RequestMaker::RequestMaker(const Options& options, KeySequence& sequence, uint64_t seed)
    : options_(options),
      sequence_(sequence),
      random_(seed),
      pool_(RandomBytes(static_cast<size_t>(options.value_size_bytes) + (64 << 10), seed + 1)) {
  auto* compare = txn_.add_compare();
  // Always holds, but has to be looked up.
  compare->set_target(etcdserverpb::Compare::VERSION);
  compare->set_result(etcdserverpb::Compare::GREATER);
  compare->set_version(-1);
  txn_.add_success()->mutable_request_put();
  range_.set_serializable(options.serializable);
}

RequestMaker::Made RequestMaker::Next(int64_t start_ns) {
  switch (options_.workload) {
    case Workload::kPut:
    case Workload::kWatch:
      return Put(start_ns);
    case Workload::kRange:
      return Range();
    case Workload::kTxn:
      return Txn();
    case Workload::kMixed:
      return random_.Below(100) < static_cast<uint64_t>(options_.read_percent) ? Range()
                                                                               : Put(start_ns);
    case Workload::kLease:
    case Workload::kPages:
    case Workload::kIdle:
    case Workload::kFill:
      break;
  }
  KEEL_CHECK(false, "workload without requests: ", NameOf(options_.workload));
  return {};
}

uint64_t RequestMaker::NextIndex() {
  switch (options_.order) {
    case KeyOrder::kSequential:
      return sequence_.Next() % options_.keys;
    case KeyOrder::kDistinct:
      return sequence_.Next();
    case KeyOrder::kRandom:
      break;
  }
  return random_.Below(options_.keys);
}

std::string_view RequestMaker::Value() {
  const size_t size = static_cast<size_t>(options_.value_size_bytes);
  return std::string_view(pool_).substr(random_.Below(pool_.size() - size), size);
}

RequestMaker::Made RequestMaker::Put(int64_t start_ns) {
  put_.set_key(KeyAt(options_, NextIndex()));
  const std::string_view value = Value();
  put_.mutable_value()->assign(value.data(), value.size());
  if (options_.workload == Workload::kWatch && value.size() >= sizeof(start_ns)) {
    std::memcpy(put_.mutable_value()->data(), &start_ns, sizeof(start_ns));
  }
  return {"/etcdserverpb.KV/Put", put_.SerializeAsString()};
}

int64_t RequestMaker::StartOf(std::string_view value) {
  int64_t start_ns = 0;
  if (value.size() >= sizeof(start_ns)) std::memcpy(&start_ns, value.data(), sizeof(start_ns));
  return start_ns;
}

RequestMaker::Made RequestMaker::Range() {
  uint64_t index = NextIndex() % options_.keys;
  if (options_.range_keys > 1) {
    const uint64_t wanted = static_cast<uint64_t>(options_.range_keys);
    if (index + wanted > options_.keys) index = options_.keys > wanted ? options_.keys - wanted : 0;
    range_.set_range_end(KeyAt(options_, index + wanted));
    range_.set_limit(options_.range_keys);
  }
  range_.set_key(KeyAt(options_, index));
  return {"/etcdserverpb.KV/Range", range_.SerializeAsString()};
}

RequestMaker::Made RequestMaker::Txn() {
  const std::string key = KeyAt(options_, NextIndex());
  const std::string_view value = Value();
  txn_.mutable_compare(0)->set_key(key);
  auto* put = txn_.mutable_success(0)->mutable_request_put();
  put->set_key(key);
  put->mutable_value()->assign(value.data(), value.size());
  return {"/etcdserverpb.KV/Txn", txn_.SerializeAsString()};
}

}  // namespace keel::bench
