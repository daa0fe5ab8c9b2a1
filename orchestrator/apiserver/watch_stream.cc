#include "orchestrator/apiserver/watch_stream.h"

#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kQueuedBytes = 1 << 20;
constexpr base::Duration kBookmarkEvery = std::chrono::seconds(60);

std::string_view HeadOf(ChangeType type) {
  switch (type) {
    case ChangeType::kAdded:
      return R"({"type":"ADDED","object":)";
    case ChangeType::kModified:
      return R"({"type":"MODIFIED","object":)";
    case ChangeType::kDeleted:
      break;
  }
  return R"({"type":"DELETED","object":)";
}

const std::shared_ptr<const std::string>& Tail() {
  static const auto& tail =
      *new std::shared_ptr<const std::string>(std::make_shared<const std::string>("}\n"));
  return tail;
}

// The last few encodings of one change: all watchers of a kind are told it one after the other.
struct Encoded {
  const CachedObject* object = nullptr;  // kept alive by `keep`
  CachedObjectPtr keep;
  std::string view;
  std::shared_ptr<const std::string> bytes;
};

std::shared_ptr<const std::string> EncodedFor(const Presenter& presenter,
                                              const Presenter::View& view,
                                              const CachedObjectPtr& object) {
  if (view.raw()) return BytesOf(object);
  static thread_local Encoded last[4];
  static thread_local size_t next = 0;
  const std::string id = view.id();
  for (const Encoded& encoded : last) {
    if (encoded.object == object.get() && encoded.view == id) return encoded.bytes;
  }
  auto bytes = presenter.Object(view, object->bytes);
  auto shared = std::make_shared<const std::string>(bytes.ok() ? *std::move(bytes) : "null");
  last[next++ % 4] = {object.get(), object, id, shared};
  return shared;
}

class CallSink final : public WatchSink {
 public:
  explicit CallSink(rpc::ServerCallPtr call) : call_(std::move(call)) {
    call_->SetWritableMark(kQueuedBytes / 2);
  }
  void Send(rpc::Message line) override { call_->Send(std::move(line)); }
  void Finish() override { call_->Finish(absl::OkStatus()); }
  size_t queued_bytes() const override { return call_->queued_bytes(); }

 private:
  const rpc::ServerCallPtr call_;
};

}  // namespace

std::shared_ptr<WatchSink> SinkOf(rpc::ServerCallPtr call) {
  return std::make_shared<CallSink>(std::move(call));
}

WatchStream::WatchStream(std::shared_ptr<WatchSink> sink, base::Loop& loop, Cache& cache,
                         const Presenter& presenter, Presenter::View view, ObjectSelector selector,
                         WatchPlan plan)
    : sink_(std::move(sink)),
      loop_(loop),
      cache_(cache),
      resource_(cache.Resource(view.stored->resource())),
      presenter_(presenter),
      view_(std::move(view)),
      selector_(std::move(selector)),
      plan_(std::move(plan)),
      told_(plan_.revision) {}

WatchStream::~WatchStream() { End(); }

void WatchStream::Go() {
  timeout_timer_ = loop_.After(plan_.timeout, [this] {
    timeout_timer_ = 0;
    if (sink_ == nullptr) return;
    // The last word: how far the client has come, so that it can go on from there.
    if (plan_.bookmarks && live_) SendBookmark(false);
    const std::shared_ptr<WatchSink> sink = sink_;
    End();
    sink->Finish();
  });
  if (plan_.bookmarks) ArmBookmark();
  Pump();
}

bool WatchStream::Full() const { return sink_->queued_bytes() >= kQueuedBytes; }

void WatchStream::Pump() {
  if (sink_ == nullptr || live_) return;
  for (; next_initial_ < plan_.initial.size(); ++next_initial_) {
    if (Full()) return;
    Send(ChangeType::kAdded, plan_.initial[next_initial_]);
    plan_.initial[next_initial_] = nullptr;
  }
  plan_.initial.clear();
  next_initial_ = 0;
  if (std::exchange(plan_.bookmark_after_initial, false)) SendBookmark(true);
  const EventRing& ring = resource_.ring();
  if (told_ < ring.oldest()) {
    return SendError(
        Expired(base::StrCat("too old resource version: ", told_, " (", ring.oldest(), ")")));
  }
  for (uint64_t at = ring.IndexAfter(told_); at < ring.end_index(); ++at) {
    if (Full()) return;
    Tell(ring.At(at));
  }
  live_ = true;
  resource_.Listen(*this, selector_.ListenerKey());
}

void WatchStream::OnWritable() {
  if (sink_ != nullptr && !live_) Pump();
}

void WatchStream::OnChange(const ObjectChange& change) {
  if (sink_ == nullptr || change.revision() <= told_) return;
  if (Full()) {
    // From here on the ring feeds it: OnWritable goes on.
    live_ = false;
    resource_.Unlisten(*this);
    return;
  }
  Tell(change);
}

void WatchStream::Tell(const ObjectChange& change) {
  told_ = change.revision();
  const CachedObject& object = *change.object;
  const bool was =
      change.before != nullptr && selector_.Matches(object.ns, object.name, *change.before);
  const bool is = change.type != ChangeType::kDeleted && selector_.Matches(object);
  if (is) return Send(was ? ChangeType::kModified : ChangeType::kAdded, change.object);
  if (was) Send(ChangeType::kDeleted, change.object);
}

void WatchStream::Send(ChangeType type, const CachedObjectPtr& object) {
  rpc::Message message{std::string(HeadOf(type)), EncodedFor(presenter_, view_, object)};
  message.shared.push_back(Tail());
  sink_->Send(std::move(message));
  view_.columns_told = true;
}

void WatchStream::SendBookmark(bool initial_events_end) {
  // Live: all that the cache knows was told.
  const int64_t revision = live_ ? std::max(told_, cache_.revision()) : told_;
  sink_->Send(
      rpc::Message(base::StrCat(R"({"type":"BOOKMARK","object":)",
                                presenter_.Bookmark(view_, revision, initial_events_end), "}\n")));
  view_.columns_told = true;
}

void WatchStream::SendError(const absl::Status& status) {
  sink_->Send(rpc::Message(
      base::StrCat(R"({"type":"ERROR","object":)", ToJson(ApiErrorOf(status).ToJson()), "}\n")));
  const std::shared_ptr<WatchSink> sink = sink_;
  End();
  sink->Finish();
}

void WatchStream::ArmBookmark() {
  bookmark_timer_ = loop_.After(kBookmarkEvery, [this] {
    ArmBookmark();
    if (sink_ != nullptr && live_ && !Full()) SendBookmark(false);
  });
}

void WatchStream::OnReset() {
  live_ = false;
  if (sink_ != nullptr) {
    SendError(
        Expired(base::StrCat("too old resource version: ", told_, " (", cache_.revision(), ")")));
  }
}

void WatchStream::OnEnd() { End(); }

void WatchStream::End() {
  sink_ = nullptr;
  if (std::exchange(live_, false)) resource_.Unlisten(*this);
  for (base::TimerId* timer : {&bookmark_timer_, &timeout_timer_}) {
    if (*timer != 0) loop_.Cancel(std::exchange(*timer, 0));
  }
  plan_.initial.clear();
}

}  // namespace keel::orchestrator
