// Who may watch what, as the watch service asks: it knows no users itself.
//
// A right is asked for when a watcher is created, and again when rights have
// changed (epoch), before anything more is sent to it.
//
// Thread-safety: every method may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "rpc/server_call.h"

namespace keel::watch {

class Guard {
 public:
  virtual ~Guard() = default;

  // Whether anybody is asked at all.
  virtual bool on() const = 0;

  // Moves whenever somebody may have lost a right, and does so before the events of later
  // revisions are published. Read for each response.
  virtual const std::atomic<uint64_t>& epoch() const = 0;

  using Admitted = absl::AnyInvocable<void(absl::StatusOr<std::string> user)>;
  // Finds out who the caller is, and whether it may watch the range (as in the request). Calls
  // `done` once, on the stream's loop, at once or later; the message of an error is the reason
  // for the cancellation. Called on the stream's loop.
  virtual void Admit(const rpc::ServerCallPtr& call, std::string_view key,
                     std::string_view range_end, Admitted done) = 0;

  // Whether the user may watch the range at present. The empty user is nobody.
  virtual bool Allows(std::string_view user, std::string_view key,
                      std::string_view range_end) const = 0;
  // The reason for cancelling a watcher that is not allowed any more.
  virtual std::string_view denial() const = 0;
};

}  // namespace keel::watch
