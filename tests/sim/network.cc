#include "tests/sim/network.h"

#include <algorithm>

#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/transport/codec.h"

namespace keel::sim {

using base::StrCat;
using raft::Message;
using raft::NodeId;

namespace {

constexpr size_t kMaxFrameBytes = 256ull << 20;
constexpr Nanos kSnapshotRoundTrip = 2 * kMilli;
constexpr Nanos kSnapshotNanosPerByte = 10;  // 100 MB/s
// What a sender notices of a link that is cut: a refused connection, not each time.
constexpr double kNoticeCut = 0.3;

const char* Name(raft::MessageType type) {
  static constexpr const char* kNames[] = {"propose",
                                           "append",
                                           "append_response",
                                           "vote",
                                           "vote_response",
                                           "pre_vote",
                                           "pre_vote_response",
                                           "heartbeat",
                                           "heartbeat_response",
                                           "snapshot",
                                           "read_index",
                                           "read_index_response",
                                           "timeout_now",
                                           "transfer_leader"};
  const auto index = static_cast<size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "?";
}

// What the sender of a stream hears of its end, once: that it broke, when the stream goes
// without a word, with the tasks of a receiver that crashed, say.
class StreamEnd {
 public:
  explicit StreamEnd(absl::AnyInvocable<void(absl::Status)> done) : done_(std::move(done)) {}
  ~StreamEnd() {
    if (done_) done_(absl::UnavailableError("the stream broke"));
  }
  StreamEnd(StreamEnd&& other) noexcept : done_(std::exchange(other.done_, nullptr)) {}
  StreamEnd& operator=(StreamEnd&&) = delete;

  void operator()(absl::Status status) { std::exchange(done_, nullptr)(std::move(status)); }

 private:
  absl::AnyInvocable<void(absl::Status)> done_;
};

std::string Join(const raft::FrameWriter& writer) {
  std::string out;
  for (const std::string_view part : writer.Parts()) out.append(part);
  return out;
}

}  // namespace

class SimTransport final : public raft::Transport {
 public:
  SimTransport(SimNetwork* network, NodeId self, SimNetwork::Site site)
      : network_(*network), self_(self), site_(std::move(site)) {
    KEEL_CHECK(network_.members_.emplace(self, this).second, "two of member=", self);
  }
  ~SimTransport() override {
    network_.members_.erase(self_);
    *alive_ = false;
  }

  void Start(base::Loop* loop, raft::TransportHandler* handler) override {
    loop_ = loop;
    handler_ = handler;
  }
  void Stop() override { handler_ = nullptr; }
  void AddPeer(NodeId peer, const std::string&) override { peers_.insert(peer); }
  void RemovePeer(NodeId peer) override { peers_.erase(peer); }

  void Send(std::span<Message> messages) override {
    for (Message& message : messages) {
      if (network_.on_sent) network_.on_sent(message);
      World& world = network_.world_;
      world.Note(self_, "> %x %s term=%d index=%d log_term=%d entries=%d commit=%d%s", message.to,
                 Name(message.type), message.term, message.index, message.log_term,
                 message.entries.size(), message.commit, message.reject ? " reject" : "");
      if (!Knows(message.to)) continue;
      raft::FrameWriter writer;
      writer.AddMessages(std::span(&message, 1));
      // A real transport does not duplicate proposals, and nothing above it could tell.
      network_.Carry(self_, message.to, Join(writer), message.type != raft::MessageType::kPropose);
    }
  }

  void SendUser(NodeId to, std::string payload) override {
    if (!Knows(to)) return;
    raft::FrameWriter writer;
    writer.Add(raft::FrameType::kUser, payload);
    network_.Carry(self_, to, Join(writer), false);
  }

  void SendSnapshot(Message message, std::string dir,
                    absl::AnyInvocable<void(absl::Status)> done) override;

  base::Duration SinceHeard(NodeId peer) const override {
    const auto it = heard_.find(peer);
    if (it == heard_.end()) return base::Duration::max();
    return base::Duration(network_.world_.now() - it->second);
  }

  void Deliver(NodeId from, const std::string& frame, bool corrupted) {
    if (handler_ == nullptr) return;
    loop_->Post([this, alive = alive_, from, frame, corrupted] {
      if (*alive && handler_ != nullptr) Decode(from, frame, corrupted);
    });
  }
  void ReportUnreachable(NodeId peer) {
    if (handler_ == nullptr) return;
    loop_->Post([this, alive = alive_, peer] {
      if (*alive && handler_ != nullptr) handler_->OnUnreachable(peer);
    });
  }

  void ReportRemoved(NodeId from, raft::Index index) {
    if (handler_ == nullptr) return;
    loop_->Post([this, alive = alive_, from, index] {
      if (*alive && handler_ != nullptr) handler_->OnRemoved(from, index);
    });
  }
  // On a connection that the peer opens. False when it was removed: then it is told.
  bool Admits(NodeId peer) {
    const raft::Index at = site_.removed_at ? site_.removed_at(peer) : 0;
    if (at != 0) network_.TellRemoved(self_, peer, at);
    return at == 0;
  }
  void Greeted(NodeId peer) {
    if (handler_ == nullptr) return;
    loop_->Post([this, alive = alive_, peer] {
      if (*alive && handler_ != nullptr) Admits(peer);
    });
  }

 private:
  struct Files {
    std::vector<std::pair<std::string, std::string>> files;  // name, content
    uint64_t bytes = 0;
  };

  bool Knows(NodeId peer) const { return site_.knows_all || peers_.contains(peer); }

  void Decode(NodeId from, const std::string& bytes, bool corrupted) {
    if (!Admits(from)) return;
    heard_[from] = network_.world_.now();
    // A member may be the last to hear of another that came, and must be able to answer it.
    // TcpTransport learns it from the newcomer's hello, as long as that connection lasts.
    peers_.insert(from);
    const auto frame = raft::ParseFrame(bytes, kMaxFrameBytes);
    if (!frame.ok() || frame->bytes != bytes.size()) {
      // A production connection ends here.
      if (!corrupted && network_.on_error) {
        network_.on_error(StrCat("a frame of ", from, " cannot be read"));
      }
      handler_->OnUnreachable(from);
      network_.Unreachable(from, self_);
      return;
    }
    if (corrupted && network_.on_error) {
      return network_.on_error("a corrupted frame passed its checksum");
    }
    if (frame->type == raft::FrameType::kUser) {
      handler_->OnUserMessage(from, std::string(frame->payload));
      return;
    }
    std::vector<Message> messages;
    if (const absl::Status status = raft::DecodeMessages(frame->payload, &messages); !status.ok()) {
      if (network_.on_error) network_.on_error(status.ToString());
      return;
    }
    handler_->OnMessages(messages);
  }

  absl::StatusOr<Files> ReadFiles(const std::string& dir, const std::string& prefix) const {
    Files out;
    KEEL_ASSIGN_OR_RETURN(const auto names, site_.fs->List(dir));
    for (const std::string& name : names) {
      KEEL_ASSIGN_OR_RETURN(std::string data, base::ReadFile(*site_.fs, StrCat(dir, "/", name)));
      out.bytes += data.size();
      out.files.emplace_back(StrCat(prefix, name), std::move(data));
    }
    return out;
  }

  // Writes what of the files arrived; `bytes` of them.
  absl::Status WriteFiles(const std::string& dir, const Files& files, uint64_t bytes) {
    base::FileSystem& fs = *site_.fs;
    KEEL_RETURN_IF_ERROR(fs.RemoveAll(dir));
    KEEL_RETURN_IF_ERROR(fs.CreateDirs(dir));
    for (const auto& [name, data] : files.files) {
      const size_t size = std::min<uint64_t>(data.size(), bytes);
      bytes -= size;
      KEEL_ASSIGN_OR_RETURN(auto file,
                            fs.Open(StrCat(dir, "/", name), base::FileSystem::Mode::kCreateEmpty));
      KEEL_RETURN_IF_ERROR(file->Write(0, std::string_view(data).substr(0, size)));
      KEEL_RETURN_IF_ERROR(file->Sync());
      if (size < data.size()) return absl::UnavailableError("the stream broke");
    }
    return fs.SyncDir(dir);
  }

  SimNetwork& network_;
  const NodeId self_;
  const SimNetwork::Site site_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  base::Loop* loop_ = nullptr;
  raft::TransportHandler* handler_ = nullptr;
  std::set<NodeId> peers_;
  std::map<NodeId, Nanos> heard_;
};

void SimTransport::SendSnapshot(Message message, std::string dir,
                                absl::AnyInvocable<void(absl::Status)> done) {
  World& world = network_.world_;
  Random& random = network_.random_;
  ++network_.counters_.snapshots_sent;
  if (network_.on_sent) network_.on_sent(message);
  const NodeId to = message.to;
  StreamEnd finish([this, alive = alive_, done = std::move(done)](absl::Status status) mutable {
    if (!*alive || handler_ == nullptr) return;
    loop_->Post([this, alive, done = std::move(done), status = std::move(status)]() mutable {
      if (*alive && handler_ != nullptr) done(std::move(status));
    });
  });
  auto files = ReadFiles(dir, "");
  world.Note(self_, "> %x snapshot index=%d term=%d bytes=%d", to, message.snapshot.index,
             message.snapshot.term, files.ok() ? files->bytes : 0);
  if (!files.ok() || !Knows(to) || !network_.Passes(self_, to)) {
    world.After(network_.DrawDelay(), [finish = std::move(finish)]() mutable {
      finish(absl::UnavailableError("the peer cannot be reached"));
    });
    return;
  }
  const bool breaks = random.Chance(network_.faults_.break_snapshot);
  const uint64_t arriving = breaks ? random.Below(files->bytes + 1) : files->bytes;
  const Nanos takes = kSnapshotRoundTrip + network_.DrawDelay() +
                      static_cast<Nanos>(arriving) * kSnapshotNanosPerByte;
  raft::FrameWriter writer;
  writer.AddMessages(std::span(&message, 1));
  world.After(takes, [network = &network_, from = self_, to, breaks, arriving,
                      files = *std::move(files), bytes = Join(writer),
                      finish = std::move(finish)]() mutable {
    SimTransport* const peer = network->Find(to);
    if (peer == nullptr || peer->handler_ == nullptr || !network->Passes(from, to)) {
      return finish(absl::UnavailableError("the stream broke"));
    }
    std::vector<Message> messages;
    const auto frame = raft::ParseFrame(bytes, kMaxFrameBytes);
    KEEL_CHECK(frame.ok() && raft::DecodeMessages(frame->payload, &messages).ok());
    // Files land on the receiver's disk as part of a task of its loop.
    peer->loop_->Post([network, peer, alive = peer->alive_, from, breaks, arriving,
                       files = std::move(files), message = std::move(messages[0]),
                       finish = std::move(finish)]() mutable {
      if (!*alive || peer->handler_ == nullptr) {
        return finish(absl::UnavailableError("the stream broke"));
      }
      const std::string arrived = StrCat(peer->site_.snapshot_dir, "/in-", ++network->snapshots_);
      absl::Status status = peer->WriteFiles(arrived, files, arriving);
      if (breaks && status.ok()) status = absl::UnavailableError("the stream broke");
      if (!status.ok()) {
        ++network->counters_.snapshots_broken;
        network->world_.Note(peer->self_, "snapshot from %x did not arrive: %s", from,
                             status.ToString());
        (void)peer->site_.fs->RemoveAll(arrived);
        return finish(std::move(status));
      }
      network->world_.Note(peer->self_, "snapshot from %x arrived index=%d", from,
                           message.snapshot.index);
      peer->handler_->OnSnapshotFiles(from, message, arrived);
      network->world_.After(network->DrawDelay(), [network, from, self = peer->self_,
                                                   finish = std::move(finish)]() mutable {
        // The answer may be lost although all has arrived.
        const bool lost = !network->Passes(self, from) ||
                          network->random_.Chance(network->faults_.break_snapshot);
        finish(lost ? absl::UnavailableError("the stream broke") : absl::OkStatus());
      });
    });
  });
}

SimNetwork::SimNetwork(World* world) : world_(*world), random_(world->random().Fork()) {}

std::unique_ptr<raft::Transport> SimNetwork::Connect(NodeId self, Site site) {
  return std::make_unique<SimTransport>(this, self, std::move(site));
}

void SimNetwork::Mend(NodeId from, NodeId to) {
  const auto it = cuts_.find({from, to});
  if (it != cuts_.end() && --it->second == 0) cuts_.erase(it);
}

SimTransport* SimNetwork::Find(NodeId id) const {
  const auto it = members_.find(id);
  return it == members_.end() ? nullptr : it->second;
}

Nanos SimNetwork::DrawDelay() {
  return random_.Between(faults_.delay_min, std::max(faults_.delay_min, faults_.delay_max));
}

void SimNetwork::Carry(NodeId from, NodeId to, std::string frame, bool may_duplicate) {
  ++counters_.sent;
  counters_.bytes += frame.size();
  world_.MixBytes(frame);
  if (!Passes(from, to) || Find(to) == nullptr) {
    ++counters_.cut;
    if (random_.Chance(kNoticeCut)) {
      world_.After(DrawDelay(), [this, from, to] { Unreachable(from, to); });
    }
    return;
  }
  if (random_.Chance(faults_.loss)) {
    ++counters_.lost;
    return;
  }
  const int copies = may_duplicate && random_.Chance(faults_.duplicate) ? 2 : 1;
  counters_.duplicated += copies - 1;
  for (int i = 0; i < copies; ++i) {
    Nanos delay = DrawDelay();
    if (random_.Chance(faults_.straggle)) {
      ++counters_.straggled;
      delay += random_.Between(0, faults_.straggle_max);
    }
    const bool corrupt = random_.Chance(faults_.corrupt);
    std::string bytes = frame;
    if (corrupt) {
      ++counters_.corrupted;
      bytes[random_.Below(bytes.size())] ^= static_cast<char>(1 << random_.Below(8));
    }
    world_.After(delay, [this, from, to, bytes = std::move(bytes), corrupt] {
      Arrive(from, to, bytes, corrupt);
    });
  }
}

void SimNetwork::Arrive(NodeId from, NodeId to, const std::string& frame, bool corrupted) {
  SimTransport* const peer = Find(to);
  if (peer == nullptr || !Passes(from, to)) {
    ++counters_.cut;
    return;
  }
  ++counters_.delivered;
  peer->Deliver(from, frame, corrupted);
}

void SimNetwork::Greet(NodeId from, NodeId to) {
  if (!Passes(from, to) || !Passes(to, from) || random_.Chance(faults_.loss)) return;
  world_.After(DrawDelay(), [this, from, to] {
    if (SimTransport* const peer = Find(to)) peer->Greeted(from);
  });
}

void SimNetwork::TellRemoved(NodeId from, NodeId to, raft::Index index) {
  if (!Passes(from, to) || random_.Chance(faults_.loss)) return;
  world_.Note(from, "> %x removed index=%d", to, index);
  world_.After(DrawDelay(), [this, from, to, index] {
    if (SimTransport* const peer = Find(to)) peer->ReportRemoved(from, index);
  });
}

void SimNetwork::Unreachable(NodeId at, NodeId peer) {
  if (SimTransport* const member = Find(at)) member->ReportUnreachable(peer);
}

}  // namespace keel::sim
