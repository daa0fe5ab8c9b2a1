// Which server to ask next. Internal to the client; pure: no I/O, no clock.
//
//   Endpoints endpoints(3);
//   size_t i = endpoints.Pick(now, /*prefer_leader=*/true, tried);
//   endpoints.Failed(i, now);    // passed over for a while
//   endpoints.Succeeded(i);
//
// Calls go round the servers in turn, except those that want the leader while
// it is known. A server that could not be reached is passed over for a time
// that doubles with every failure in a row, unless there is no other left.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"

namespace keel::kvstore {

// "host:port" of "host:port", "host", "http://host:port", "https://host:port" or with a "/" behind
// (the port is 2379 when left out). InvalidArgument naming the endpoint
// otherwise.
absl::StatusOr<std::string> ParseEndpoint(std::string_view endpoint);

// Whether the connection is to be secured, by the endpoint's scheme; `by_default` where it has
// none.
bool WantsTls(std::string_view endpoint, bool by_default);

class Endpoints {
 public:
  static constexpr base::Duration kPauseMin = std::chrono::milliseconds(100);
  static constexpr base::Duration kPauseMax = std::chrono::seconds(5);

  // REQUIRES: count > 0.
  explicit Endpoints(size_t count);

  // The next server among those not `tried` (empty: none was); nullopt when
  // all were.
  std::optional<size_t> Pick(base::TimePoint now, bool prefer_leader,
                             const std::vector<bool>& tried);

  void Succeeded(size_t index);
  void Failed(size_t index, base::TimePoint now);

  // What the server at `index` said of itself and of the leader (member ids; 0:
  // none) at its term. Of an older term than that of another answer, the leader
  // is history.
  void Learned(size_t index, uint64_t member, uint64_t leader, uint64_t term);
  void ForgetLeader() { leader_ = 0; }
  // The index of the leader, when it is known and among the servers.
  std::optional<size_t> leader() const;

  size_t size() const { return servers_.size(); }

 private:
  struct Server {
    uint64_t member = 0;
    int failures = 0;  // in a row
    base::TimePoint passed_over_until{};
  };
  std::vector<Server> servers_;
  uint64_t leader_ = 0;
  uint64_t term_ = 0;  // the highest heard of
  size_t next_ = 0;
};

}  // namespace keel::kvstore
