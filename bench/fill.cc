#include "bench/fill.h"

#include <algorithm>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "base/asio_loop.h"
#include "rpc/client.h"

namespace keel::bench {
namespace {

constexpr uint64_t kKeysPerTxn = 100;
constexpr uint64_t kBytesPerTxn = 1 << 20;
constexpr size_t kInFlight = 16;

struct Answer {
  absl::Status status;
  int64_t at_ns = 0;
};

}  // namespace

absl::Status Fill(const Options& options, Found* found) {
  base::AsioLoop loop("fill");
  loop.Start();
  rpc::Channel channel(loop, options.endpoints.front());
  const auto value_size = static_cast<uint64_t>(options.value_size_bytes);
  const uint64_t keys_per_txn =
      std::clamp<uint64_t>(kBytesPerTxn / (value_size + 1), 1, kKeysPerTxn);
  // Not to be compressed: the same bytes a thousand times would flatter a store that compresses.
  const std::string pool = RandomBytes(value_size + (64 << 10), options.seed);
  Random random(options.seed);

  absl::Status failed;
  uint64_t next = 0;
  while (next < options.keys && failed.ok()) {
    std::vector<std::promise<Answer>> answers(kInFlight);
    const int64_t start_ns = NowNs();
    size_t sent = 0;
    for (; sent < kInFlight && next < options.keys; ++sent) {
      etcdserverpb::TxnRequest txn;
      for (uint64_t i = 0; i < keys_per_txn && next < options.keys; ++i) {
        auto* put = txn.add_success()->mutable_request_put();
        put->set_key(KeyAt(options, next++));
        put->set_value(pool.data() + random.Below(pool.size() - value_size), value_size);
      }
      channel.Call("/etcdserverpb.KV/Txn", txn.SerializeAsString(),
                   {.deadline = loop.Now() + options.timeout},
                   [&answers, sent](absl::StatusOr<std::string> response) {
                     answers[sent].set_value({response.status(), NowNs()});
                   });
    }
    // All are waited for: the callbacks write to `answers`.
    for (size_t i = 0; i < sent; ++i) {
      const Answer answer = answers[i].get_future().get();
      failed.Update(answer.status);
      if (found != nullptr) found->latency_ns.Record(answer.at_ns - start_ns);
    }
  }
  channel.Close();
  loop.Stop();
  return failed;
}

}  // namespace keel::bench
