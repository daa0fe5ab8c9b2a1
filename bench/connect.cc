#include "bench/connect.h"

#include <algorithm>
#include <future>
#include <string>
#include <vector>

namespace keel::bench {

std::vector<std::unique_ptr<rpc::Channel>> MakeChannels(const Options& options, int thread,
                                                        base::AsioLoop& loop) {
  rpc::ChannelOptions channel;
  channel.tls = options.tls;
  std::vector<std::unique_ptr<rpc::Channel>> channels;
  for (int c = thread; c < options.connections; c += options.threads) {
    const auto& endpoint = options.endpoints[static_cast<size_t>(c) % options.endpoints.size()];
    channels.push_back(std::make_unique<rpc::Channel>(loop, endpoint, channel));
  }
  return channels;
}

absl::Status Connect(const std::vector<std::unique_ptr<rpc::Channel>>& channels,
                     base::AsioLoop& loop, base::Duration timeout) {
  // Ten thousand one after the other would take minutes on a busy machine; all at once
  // would overflow the server's queue of connections not yet accepted.
  constexpr size_t kAtOnce = 64;
  absl::Status failed;
  for (size_t begin = 0; begin < channels.size() && failed.ok(); begin += kAtOnce) {
    const size_t end = std::min(begin + kAtOnce, channels.size());
    std::vector<std::promise<absl::Status>> connected(end - begin);
    for (size_t i = begin; i < end; ++i) {
      channels[i]->Call("/etcdserverpb.Maintenance/Status", std::string(),
                        {.deadline = loop.Now() + timeout},
                        [&promise = connected[i - begin]](absl::StatusOr<std::string> response) {
                          promise.set_value(response.status());
                        });
    }
    for (auto& one : connected) failed.Update(one.get_future().get());
  }
  return failed;
}

void Disconnect(std::vector<std::unique_ptr<rpc::Channel>>* channels, base::AsioLoop& loop) {
  std::promise<void> done;
  loop.Post([&] {
    for (auto& channel : *channels) channel->Close();
    channels->clear();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace keel::bench
