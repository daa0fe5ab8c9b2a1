#include "rpc/http_responder.h"

#include <utility>

#include "base/check.h"

namespace keel::rpc {

namespace internal {

struct HttpReply {
  std::shared_ptr<ServerMailbox> mailbox;
  std::unique_ptr<HttpAnswer> answer;
};

void SplitTarget(HttpRequest& request) {
  const size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos) request.query = request.target.substr(question + 1);
}

bool StreamsBody(const ServerRegistry& registry, const HttpRequest& head) {
  return registry.http_streams_body && registry.http_streams_body(head);
}

void CallHttpHandler(const ServerRegistry& registry, HttpRequest request,
                     std::shared_ptr<ServerMailbox> mailbox, std::unique_ptr<HttpAnswer> answer) {
  HttpRespond respond(
      std::make_unique<HttpReply>(HttpReply{std::move(mailbox), std::move(answer)}));
  if (!registry.http_handler) {
    return std::move(respond)({.status = 404, .body = "404 page not found\n"});
  }
  registry.http_handler(std::move(request), std::move(respond));
}

HttpResponse NoUpgrade() {
  return {.status = 400, .body = "only a connection of HTTP/1.1 can be upgraded\n"};
}

}  // namespace internal

HttpRespond::HttpRespond(std::unique_ptr<internal::HttpReply> reply) : reply_(std::move(reply)) {}

HttpRespond::HttpRespond(HttpRespond&& other) noexcept = default;

HttpRespond::~HttpRespond() {
  if (reply_ == nullptr) return;
  std::move (*this)({.status = 500, .body = "the request was dropped unanswered\n"});
}

void HttpRespond::operator()(HttpResponse response) && {
  const auto reply = std::move(reply_);
  if (reply == nullptr) return;
  if (reply->mailbox->InLoop()) return reply->answer->Respond(std::move(response));
  reply->mailbox->PostTask(
      [answer = std::move(reply->answer), response = std::move(response)]() mutable {
        answer->Respond(std::move(response));
      });
}

void HttpRespond::Stream(HttpResponse head, HttpStreamFactory factory) && {
  KEEL_CHECK(head.body.empty());
  const auto reply = std::move(reply_);
  if (reply == nullptr) return;
  if (reply->mailbox->InLoop()) return reply->answer->Stream(std::move(head), std::move(factory));
  reply->mailbox->PostTask([answer = std::move(reply->answer), head = std::move(head),
                            factory = std::move(factory)]() mutable {
    answer->Stream(std::move(head), std::move(factory));
  });
}

void HttpRespond::Upgrade(HttpStreamFactory factory) && {
  const auto reply = std::move(reply_);
  if (reply == nullptr) return;
  if (reply->mailbox->InLoop()) return reply->answer->Upgrade(std::move(factory));
  reply->mailbox->PostTask(
      [answer = std::move(reply->answer), factory = std::move(factory)]() mutable {
        answer->Upgrade(std::move(factory));
      });
}

}  // namespace keel::rpc
