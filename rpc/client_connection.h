// The client's side of one HTTP/2 connection.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rpc/client_call.h"
#include "rpc/http2_connection.h"

namespace keel::rpc::internal {

class ClientConnection final : public Http2Connection {
 public:
  ClientConnection(std::shared_ptr<ChannelCore> core, std::shared_ptr<IoLoop> io, Socket socket);
  ~ClientConnection() override;

  void Start();

  // Whether a new call may begin on it: not after a GOAWAY, nor when its
  // stream ids are used up.
  bool CanSubmit();
  // REQUIRES: CanSubmit().
  void Submit(std::unique_ptr<ClientCall> call, base::TimePoint now);

  // Of calls of this connection.
  void Send(ClientCall& call, Message message);
  void CloseSend(ClientCall& call);
  void Cancel(ClientCall& call, absl::Status status);
  void ResumeReading(ClientCall& call);

  // Closes once its calls are over.
  void Retire();

 private:
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                      void* self);
  static int OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t stream_id, const uint8_t* data,
                    size_t size, void* self);
  static int OnStreamClosed(nghttp2_session*, int32_t stream_id, uint32_t error_code, void* self);
  static int OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int error, void* self);
  ClientCall* Find(int32_t stream_id);

  void TakeHeader(ClientCall& call, std::string_view name, std::string_view value);
  void TakeData(ClientCall& call, std::string_view data);
  void DeliverMessages(ClientCall& call, std::string_view data);
  void Conclude(ClientCall& call);
  void Remove(ClientCall& call);

  // Http2Connection:
  void OnClosed(const absl::Status& why) override;
  bool OnOutEnd(Http2Stream&) override { return false; }
  bool OnTaken(Http2Stream& stream, size_t message_bytes) override;
  void OnWritable(Http2Stream& stream) override;
  bool HasStreams() const override { return !streams_.empty(); }
  void CountReceived(size_t) override {}
  void CountSent(size_t) override {}

  const std::shared_ptr<ChannelCore> core_;
  StreamList streams_;
  bool retired_ = false;
  std::string last_timeout_;  // as the call before had it
};

}  // namespace keel::rpc::internal
