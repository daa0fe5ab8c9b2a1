// How a ServerConnection answers plain HTTP over HTTP/2.
#include <utility>

#include "base/strings.h"
#include "rpc/header_list.h"
#include "rpc/http_responder.h"
#include "rpc/server_connection.h"

namespace keel::rpc::internal {

namespace {

class Answer final : public HttpAnswer {
 public:
  explicit Answer(ServerCallPtr call) : call_(std::move(call)) {}
  void Respond(HttpResponse response) override {
    ServerConnection::RespondHttp(*call_, std::move(response));
  }
  void Stream(HttpResponse head, HttpStreamFactory factory) override {
    ServerConnection::StreamHttp(*call_, std::move(head), std::move(factory));
  }
  void Upgrade(HttpStreamFactory) override { Respond(NoUpgrade()); }

 private:
  const ServerCallPtr call_;
};

}  // namespace

void ServerConnection::StartHttp(ServerStream& stream) {
  stream.kind = ServerStream::Kind::kHttp;
  stream.call = new ServerCall(peer_, nullptr);
  stream.call->stream_ = &stream;
  loop_->counters.http_requests.Add(1);
  stream.http = std::make_unique<HttpRequest>();
  HttpRequest& request = *stream.http;
  request.method = stream.post ? "POST" : stream.http_method;
  request.target = stream.method != nullptr ? stream.method->path : std::move(stream.path);
  SplitTarget(request);
  request.headers = std::move(stream.metadata);
  if (!stream.content_type.empty()) {
    request.headers.emplace_back("content-type", std::move(stream.content_type));
  }
  request.peer = peer_->name;
  request.certificate = peer_->certificate;
  if (!StreamsBody(*loop_->registry, request)) return;
  stream.streams_body = true;
  stream.paused = true;
  DispatchHttp(stream);
}

void ServerConnection::DispatchHttp(ServerStream& stream) {
  CallHttpHandler(*loop_->registry, std::move(*stream.http), loop_->mailbox,
                  std::make_unique<Answer>(stream.call));
}

void ServerConnection::SubmitHttpHead(ServerStream& stream, const HttpResponse& head,
                                      bool with_length, bool with_body) {
  stream.headers_sent = true;
  const std::string status = base::StrCat(head.status);
  const std::string length = base::StrCat(head.body.size());
  std::vector<nghttp2_nv> headers = {CopiedHeader(":status", status),
                                     CopiedHeader("content-type", head.content_type)};
  if (with_length) headers.push_back(OneTimeHeader("content-length", length));
  for (const auto& [name, value] : head.headers) headers.push_back(CopiedHeader(name, value));
  const nghttp2_data_provider data = DataOf(stream);
  nghttp2_submit_response(session(), stream.id, headers.data(), headers.size(),
                          with_body ? &data : nullptr);
  FlushLater();
}

void ServerConnection::RespondHttp(ServerCall& call, HttpResponse response) {
  ServerStream* stream = call.stream_;
  if (stream == nullptr || stream->out_finished) return;
  ServerConnection& self = *stream->connection;
  stream->out_finished = true;
  if (stream->streams_body) {  // nobody reads it any more
    stream->paused = false;
    self.Consume(*stream, std::exchange(stream->held, {}).size());
  }
  const bool with_body = !response.body.empty() && stream->http_method != "HEAD";
  self.SubmitHttpHead(*stream, response, /*with_length=*/true, with_body);
  if (with_body) stream->out.Push(Message(std::move(response.body)), /*framed=*/false);
}

void ServerConnection::StreamHttp(ServerCall& call, HttpResponse head, HttpStreamFactory factory) {
  ServerStream* stream = call.stream_;
  if (stream == nullptr || stream->out_finished) return;
  ServerConnection& self = *stream->connection;
  stream->kind = ServerStream::Kind::kHttpStream;
  if (stream->http_method == "HEAD") {
    stream->out_finished = true;
    return self.SubmitHttpHead(*stream, head, /*with_length=*/false, /*with_body=*/false);
  }
  self.SubmitHttpHead(*stream, head, /*with_length=*/false, /*with_body=*/true);
  const ServerCallPtr keep(&call);
  auto handler = std::move(factory)(keep);
  if (keep->stream_ == nullptr) {
    if (handler != nullptr) handler->OnEnd();
    return;
  }
  stream->handler = std::move(handler);
  if (stream->streams_body) self.ResumeReading(*stream);
}

}  // namespace keel::rpc::internal
