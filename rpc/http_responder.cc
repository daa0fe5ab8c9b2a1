#include "rpc/http_responder.h"

#include <utility>

namespace keel::rpc::internal {

namespace {

// Answers exactly once: when called, else when destroyed.
class Responder {
 public:
  Responder(std::shared_ptr<ServerMailbox> mailbox, absl::AnyInvocable<void(HttpResponse)> respond)
      : mailbox_(std::move(mailbox)), respond_(std::move(respond)) {}
  Responder(Responder&& other) noexcept = default;
  Responder& operator=(Responder&&) = delete;
  ~Responder() {
    if (mailbox_ != nullptr) Send({.status = 500, .body = "the request was dropped unanswered\n"});
  }

  void operator()(HttpResponse response) && { Send(std::move(response)); }

 private:
  void Send(HttpResponse response) {
    const auto mailbox = std::move(mailbox_);
    if (mailbox == nullptr) return;
    if (mailbox->InLoop()) return respond_(std::move(response));
    mailbox->PostTask([respond = std::move(respond_), response = std::move(response)]() mutable {
      respond(std::move(response));
    });
  }

  std::shared_ptr<ServerMailbox> mailbox_;  // null once answered, and when moved from
  absl::AnyInvocable<void(HttpResponse)> respond_;
};

}  // namespace

void CallHttpHandler(const ServerRegistry& registry, HttpRequest request,
                     std::shared_ptr<ServerMailbox> mailbox,
                     absl::AnyInvocable<void(HttpResponse)> respond) {
  Responder responder(std::move(mailbox), std::move(respond));
  if (!registry.http_handler) {
    return std::move(responder)({.status = 404, .body = "404 page not found\n"});
  }
  const size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos) request.query = request.target.substr(question + 1);
  registry.http_handler(std::move(request), std::move(responder));
}

}  // namespace keel::rpc::internal
