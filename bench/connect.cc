#include "bench/connect.h"

#include <future>
#include <string>

namespace keel::bench {

std::vector<std::unique_ptr<rpc::Channel>> MakeChannels(const Options& options, int thread,
                                                        base::AsioLoop& loop) {
  std::vector<std::unique_ptr<rpc::Channel>> channels;
  for (int c = thread; c < options.connections; c += options.threads) {
    const auto& endpoint = options.endpoints[static_cast<size_t>(c) % options.endpoints.size()];
    channels.push_back(std::make_unique<rpc::Channel>(loop, endpoint));
  }
  return channels;
}

absl::Status Connect(const std::vector<std::unique_ptr<rpc::Channel>>& channels,
                     base::AsioLoop& loop, base::Duration timeout) {
  for (const auto& channel : channels) {
    std::promise<absl::Status> connected;
    channel->Call(
        "/etcdserverpb.Maintenance/Status", std::string(), {.deadline = loop.Now() + timeout},
        [&](absl::StatusOr<std::string> response) { connected.set_value(response.status()); });
    const absl::Status status = connected.get_future().get();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace keel::bench
