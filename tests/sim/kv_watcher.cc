#include "kvstore/api/rpc.pb.h"
#include "tests/sim/kv_clients.h"

namespace keel::sim {

namespace pb = etcdserverpb;

namespace {

// How long until a client notices that its member is gone.
constexpr Nanos kNotice = 500 * kMilli;

}  // namespace

KvWatcher::KvWatcher(KvShared* shared, uint64_t id, std::string key, std::string range_end)
    : shared_(*shared),
      id_(id),
      key_(std::move(key)),
      range_end_(std::move(range_end)),
      prev_kv_(shared->random.Chance(0.3)) {}

void KvWatcher::OpenLater() {
  shared_.world.After(shared_.random.Between(kMilli, kSecond), [this] { Open(); });
}

void KvWatcher::Open() {
  SimMember& member = shared_.AnyMember();
  if (!member.up()) return OpenLater();
  if (chains_.empty() || next_ == 0) chains_.emplace_back();
  WatchRecord record;
  record.id = id_ * 1000 + ++records_;
  record.client = id_;
  record.key = key_;
  record.range_end = range_end_;
  record.start_revision = next_;
  record.prev_kv = prev_kv_;
  chains_.back().push_back(std::move(record));
  current_ = std::make_shared<Attempt>();
  current_->member = &member;
  current_->life = member.life();
  shared_.world.Note(member.id(), "watcher %d opens from revision %d", id_, next_);
  shared_.world.After(shared_.Delay(), [this, attempt = current_] {
    if (!attempt->member->up() || attempt->member->life() != attempt->life) return Over(attempt);
    attempt->member->loop().Post([this, attempt] { Opened(attempt); });
  });
  Watchdog(current_);
}

void KvWatcher::Opened(const std::shared_ptr<Attempt>& attempt) {
  if (attempt->over) return;
  auto& stack = static_cast<KvStack&>(attempt->member->stack());
  // Bytes arrive in order, later.
  const auto later = [this, attempt](std::function<void()> task) {
    attempt->last = std::max(attempt->last + 1, shared_.world.now() + shared_.Delay());
    shared_.world.At(attempt->last, std::move(task));
  };
  attempt->stream = stack.channel().OpenStream(
      "/etcdserverpb.Watch/Watch", {},
      {.on_message =
           [this, attempt, later](std::string bytes) {
             later([this, attempt, bytes = std::move(bytes)] { OnMessage(attempt, bytes); });
           },
       .on_end = [this, attempt,
                  later](absl::Status) { later([this, attempt] { Over(attempt); }); }});
  pb::WatchRequest request;
  auto* create = request.mutable_create_request();
  create->set_key(key_);
  create->set_range_end(range_end_);
  create->set_start_revision(next_);
  create->set_prev_kv(prev_kv_);
  attempt->stream->Send(request.SerializeAsString());
}

// Notices a member that is gone; asks for progress; now and then reads slowly, or leaves.
void KvWatcher::Watchdog(const std::shared_ptr<Attempt>& attempt) {
  shared_.world.After(kNotice, [this, attempt] {
    if (attempt->over) return;
    SimMember& member = *attempt->member;
    // One that was removed goes on to exist until it is told, and hears of nothing else.
    if (!member.up() || member.life() != attempt->life || !shared_.sim.Belongs(member)) {
      return Over(attempt);
    }
    Random& random = shared_.random;
    if (!shared_.stopped && random.Chance(0.03)) return Over(attempt);
    const bool ask = shared_.stopped || random.Chance(0.2);
    const bool slow = !shared_.stopped && random.Chance(0.05);
    member.loop().Post([attempt, ask, slow] {
      if (attempt->over || attempt->stream == nullptr) return;
      if (slow) {
        attempt->stream->Pause();
      } else {
        attempt->stream->Resume();
      }
      if (!ask) return;
      pb::WatchRequest request;
      request.mutable_progress_request();
      attempt->stream->Send(request.SerializeAsString());
    });
    Watchdog(attempt);
  });
}

void KvWatcher::OnMessage(const std::shared_ptr<Attempt>& attempt, const std::string& bytes) {
  if (attempt->over) return;
  pb::WatchResponse message;
  if (!message.ParseFromString(bytes)) {
    return shared_.sim.oracle().Fail("bad answer", "a watch response cannot be parsed");
  }
  WatchRecord& record = chains_.back().back();
  WatchResponse& response = record.responses.emplace_back();
  response.at = shared_.world.now();
  response.revision = message.header().revision();
  response.compact_revision = message.compact_revision();
  response.fragment = message.fragment();
  shared_.SawRevision(response.revision);
  if (message.canceled()) {
    response.kind = WatchResponse::Kind::kCanceled;
    // What was compacted cannot be had: a new chain, from the present.
    if (message.compact_revision() != 0) next_ = 0;
    return Over(attempt);
  }
  if (message.created()) {
    response.kind = WatchResponse::Kind::kCreated;
    if (next_ == 0) next_ = response.revision + 1;
    return;
  }
  response.kind =
      message.events().empty() ? WatchResponse::Kind::kProgress : WatchResponse::Kind::kEvents;
  for (const mvccpb::Event& event : message.events()) {
    WatchEvent& out = response.events.emplace_back();
    const mvccpb::KeyValue& kv = event.kv();
    if (event.type() == mvccpb::Event::DELETE) {
      out.write.type = Write::Type::kDelete;
      out.write.kv.key = kv.key();
      out.write.kv.mod_revision = kv.mod_revision();
    } else {
      out.write.kv = {kv.key(),          kv.value(),   kv.create_revision(),
                      kv.mod_revision(), kv.version(), kv.lease()};
    }
    if (event.has_prev_kv()) {
      const mvccpb::KeyValue& prev = event.prev_kv();
      out.prev = KeyVersion{prev.key(),          prev.value(),   prev.create_revision(),
                            prev.mod_revision(), prev.version(), prev.lease()};
    }
    ++events_;
  }
  next_ = record.Next();
}

void KvWatcher::Over(const std::shared_ptr<Attempt>& attempt) {
  if (std::exchange(attempt->over, true)) return;
  shared_.world.Note(attempt->member->id(), "watcher %d ends, next revision %d", id_, next_);
  SimMember& member = *attempt->member;
  if (attempt->stream != nullptr && member.up() && member.life() == attempt->life) {
    member.loop().Enter([&] { attempt->stream->Cancel(); });
  }
  OpenLater();
}

bool KvWatcher::CaughtUp(int64_t revision) const {
  return current_ != nullptr && !current_->over && next_ > revision;
}

}  // namespace keel::sim
