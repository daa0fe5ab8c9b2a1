// A client whose callbacks end with it: what was asked goes on, but nobody is told any more. So
// that controllers may name themselves in callbacks, and still be stopped at any moment.
//
// Thread-safety: on the client's loop only. Watches are their handles' owners'.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {

class ScopedClient final : public ApiClient {
 public:
  explicit ScopedClient(ApiClient& client) : client_(client) {}

  void Call(std::string_view method, std::string path, std::string_view content_type,
            std::string body, Done done) override {
    client_.Call(method, std::move(path), content_type, std::move(body), Scoped(std::move(done)));
  }
  void CallBytes(std::string_view method, std::string path, std::string_view content_type,
                 std::string body, DoneBytes done) override {
    client_.CallBytes(method, std::move(path), content_type, std::move(body),
                      Scoped(std::move(done)));
  }
  std::unique_ptr<WatchHandle> Watch(std::string path,
                                     absl::AnyInvocable<void(const WatchEvent&)> on_event,
                                     absl::AnyInvocable<void(absl::Status)> on_end) override {
    return client_.Watch(std::move(path), std::move(on_event), std::move(on_end));
  }
  base::Loop& loop() override { return client_.loop(); }

 private:
  template <typename Answer>
  absl::AnyInvocable<void(absl::StatusOr<Answer>)> Scoped(
      absl::AnyInvocable<void(absl::StatusOr<Answer>)> done) {
    return [weak = std::weak_ptr(alive_),
            done = std::move(done)](absl::StatusOr<Answer> answer) mutable {
      if (!weak.expired()) done(std::move(answer));
    };
  }

  ApiClient& client_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace keel::orchestrator
