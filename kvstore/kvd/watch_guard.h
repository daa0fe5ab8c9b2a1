// What the watch service asks about rights, answered by the server's users and
// roles.
//
// Lifetime: the server outlives it.
#pragma once

#include <string>

#include "kvstore/server/auth_gate.h"
#include "watch/guard.h"

namespace keel::kvstore {

class WatchGuard final : public watch::Guard {
 public:
  explicit WatchGuard(AuthGate* gate) : gate_(*gate) {}

  bool on() const override { return gate_.on(); }
  const std::atomic<uint64_t>& epoch() const override { return gate_.state().epoch(); }
  void Admit(const rpc::ServerCallPtr& call, std::string_view key, std::string_view range_end,
             Admitted done) override;
  bool Allows(std::string_view user, std::string_view key,
              std::string_view range_end) const override;
  std::string_view denial() const override;

 private:
  absl::Status Check(const Caller& caller, std::string_view key, std::string_view range_end) const;

  AuthGate& gate_;
};

}  // namespace keel::kvstore
