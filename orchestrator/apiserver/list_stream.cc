#include "orchestrator/apiserver/list_stream.h"

#include "rpc/server_call.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kWholeBytes = 128 * 1024;
constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kQueuedBytes = 512 * 1024;

class ListWriter final : public rpc::ServerStreamHandler,
                         public std::enable_shared_from_this<ListWriter> {
 public:
  ListWriter(rpc::ServerCallPtr call, const Presenter& presenter, Presenter::View view,
             std::string head, std::vector<CachedObjectPtr> objects)
      : call_(std::move(call)),
        presenter_(presenter),
        view_(std::move(view)),
        piece_(std::move(head)),
        objects_(std::move(objects)) {
    call_->SetWritableMark(kQueuedBytes / 2);
  }

  void Go() {
    while (call_ != nullptr && call_->queued_bytes() < kQueuedBytes) {
      for (; next_ < objects_.size() && piece_.size() < kPieceBytes; ++next_) {
        auto item = presenter_.Item(view_, objects_[next_]->bytes);
        if (!item.ok()) return call_->Finish(item.status());
        if (next_ > 0) piece_ += ',';
        piece_ += *item;
        objects_[next_] = nullptr;
      }
      const bool last = next_ == objects_.size();
      if (last) piece_ += presenter_.ListTail();
      call_->Send(std::exchange(piece_, {}));
      if (last) return call_->Finish(absl::OkStatus());
    }
  }

  void OnMessage(std::string_view) override {}
  void OnWritable() override {
    if (next_ < objects_.size()) Go();
  }
  void OnEnd() override {
    call_ = nullptr;
    objects_.clear();
  }

 private:
  rpc::ServerCallPtr call_;
  const Presenter& presenter_;
  const Presenter::View view_;
  std::string piece_;
  std::vector<CachedObjectPtr> objects_;
  size_t next_ = 0;
};

}  // namespace

void SendList(Request& request, const Presenter& presenter, Presenter::View view,
              json::object list_metadata, std::vector<CachedObjectPtr> objects) {
  std::string head = presenter.ListHead(view, list_metadata);
  size_t bytes = 0;
  for (const CachedObjectPtr& object : objects) bytes += object->bytes.size();
  const bool whole = bytes <= kWholeBytes || request.format.yaml || request.format.pretty;
  if (!whole) {
    return request.Stream(
        kJsonType, [&presenter, view = std::move(view), head = std::move(head),
                    objects = std::move(objects)](rpc::ServerCallPtr call) mutable {
          auto writer = std::make_shared<ListWriter>(std::move(call), presenter, std::move(view),
                                                     std::move(head), std::move(objects));
          writer->Go();
          return writer;
        });
  }
  std::string body = std::move(head);
  body.reserve(body.size() + bytes + objects.size() + 2);
  bool first = true;
  for (const CachedObjectPtr& object : objects) {
    auto item = presenter.Item(view, object->bytes);
    if (!item.ok()) return request.Fail(item.status());
    if (!std::exchange(first, false)) body += ',';
    body += *item;
  }
  body += presenter.ListTail();
  request.SendJsonBytes(200, std::move(body));
}

}  // namespace keel::orchestrator
