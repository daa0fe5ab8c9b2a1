#include "raft/transport/memory_transport.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {

using base::StrCat;

MemoryNetwork::MemoryNetwork(uint64_t seed, base::FileSystem* fs)
    : fs_(fs != nullptr ? *fs : base::PosixFileSystem()), random_(seed) {}

void MemoryNetwork::Cut(NodeId a, NodeId b) {
  std::lock_guard lock(mu_);
  cut_.emplace(std::min(a, b), std::max(a, b));
}

void MemoryNetwork::Isolate(NodeId node) {
  std::lock_guard lock(mu_);
  isolated_.insert(node);
}

void MemoryNetwork::Heal() {
  std::lock_guard lock(mu_);
  cut_.clear();
  isolated_.clear();
}

void MemoryNetwork::set_loss(double probability) {
  std::lock_guard lock(mu_);
  loss_ = probability;
}

void MemoryNetwork::set_delay(base::Duration min, base::Duration max) {
  std::lock_guard lock(mu_);
  delay_min_ = min;
  delay_max_ = max;
}

bool MemoryNetwork::Passes(NodeId from, NodeId to) const {
  return isolated_.count(from) + isolated_.count(to) == 0 &&
         (cut_.empty() || cut_.count({std::min(from, to), std::max(from, to)}) == 0);
}

void MemoryNetwork::Arrive(const std::shared_ptr<Member>& member, Message* message) {
  {
    std::lock_guard lock(member->inbox_mu);
    Member::Inbox& inbox = member->inbox;
    if (inbox.count == inbox.messages.size()) inbox.messages.emplace_back();
    std::swap(inbox.messages[inbox.count++], *message);
    if (std::exchange(member->scheduled, true)) return;
  }
  member->loop->Post([member] { DeliverInbox(member.get()); });
}

void MemoryNetwork::DeliverInbox(Member* member) {
  {
    std::lock_guard lock(member->inbox_mu);
    member->scheduled = false;
    std::swap(member->inbox, member->delivering);
  }
  Member::Inbox& inbox = member->delivering;
  {
    std::lock_guard lock(member->mu);
    if (member->handler != nullptr) {
      member->handler->OnMessages(std::span(inbox.messages).first(inbox.count));
    }
  }
  inbox.count = 0;
}

std::shared_ptr<MemoryNetwork::Member> MemoryNetwork::Reach(NodeId from, NodeId to,
                                                            base::Duration* delay) {
  std::lock_guard lock(mu_);
  if (!Passes(from, to)) return nullptr;
  if (loss_ > 0 && std::uniform_real_distribution<>(0, 1)(random_) < loss_) return nullptr;
  *delay = base::Duration(
      std::uniform_int_distribution<int64_t>(delay_min_.count(), delay_max_.count())(random_));
  const auto it = members_.find(to);
  return it == members_.end() ? nullptr : it->second;
}

MemoryTransport::MemoryTransport(MemoryNetwork* network, NodeId self, std::string snapshot_dir)
    : network_(network),
      self_(self),
      snapshot_dir_(std::move(snapshot_dir)),
      member_(std::make_shared<MemoryNetwork::Member>()) {}

void MemoryTransport::Start(base::Loop* loop, TransportHandler* handler) {
  {
    std::lock_guard lock(member_->mu);
    member_->handler = handler;
    member_->loop = loop;
  }
  std::lock_guard lock(network_->mu_);
  network_->members_[self_] = member_;
}

void MemoryTransport::Stop() {
  {
    std::lock_guard lock(network_->mu_);
    const auto it = network_->members_.find(self_);
    if (it != network_->members_.end() && it->second == member_) network_->members_.erase(it);
  }
  std::lock_guard lock(member_->mu);
  member_->handler = nullptr;
}

void MemoryTransport::Deliver(NodeId to, absl::AnyInvocable<void(TransportHandler*)> call) {
  base::Duration delay{};
  const auto member = network_->Reach(self_, to, &delay);
  if (member == nullptr) return;
  base::Loop* loop = member->loop;
  base::Task task = [member, call = std::move(call)]() mutable {
    std::lock_guard lock(member->mu);
    if (member->handler != nullptr) call(member->handler);
  };
  if (delay <= base::Duration::zero()) {
    loop->Post(std::move(task));
  } else {
    loop->Post(
        [loop, delay, task = std::move(task)]() mutable { loop->After(delay, std::move(task)); });
  }
}

void MemoryTransport::Send(std::span<Message> messages) {
  {
    std::lock_guard lock(network_->mu_);
    if (network_->Faultless()) {
      for (Message& message : messages) {
        const auto it = network_->members_.find(message.to);
        if (it == network_->members_.end() || !network_->Passes(self_, message.to)) continue;
        MemoryNetwork::Arrive(it->second, &message);
      }
      return;
    }
  }
  for (Message& message : messages) {
    const NodeId to = message.to;
    Deliver(to, [message = std::move(message)](TransportHandler* handler) mutable {
      handler->OnMessages(std::span(&message, 1));
    });
  }
}

void MemoryTransport::SendUser(NodeId to, std::string payload) {
  Deliver(to, [from = self_, payload = std::move(payload)](TransportHandler* handler) mutable {
    handler->OnUserMessage(from, std::move(payload));
  });
}

void MemoryTransport::SendSnapshot(Message message, std::string dir,
                                   absl::AnyInvocable<void(absl::Status)> done) {
  base::FileSystem& fs = network_->fs_;
  base::Duration delay{};
  const auto member = network_->Reach(self_, message.to, &delay);
  const auto copy = [&]() -> absl::StatusOr<std::string> {
    if (member == nullptr) return absl::UnavailableError("unreachable");
    std::string to;
    {
      std::lock_guard lock(network_->mu_);
      to = StrCat(snapshot_dir_, "/memory-", self_, "-", message.to, "-", ++network_->snapshots_);
    }
    KEEL_RETURN_IF_ERROR(fs.RemoveAll(to));
    KEEL_RETURN_IF_ERROR(fs.CreateDirs(to));
    KEEL_ASSIGN_OR_RETURN(const auto names, fs.List(dir));
    for (const std::string& name : names) {
      KEEL_ASSIGN_OR_RETURN(const std::string data, ReadFile(fs, StrCat(dir, "/", name)));
      KEEL_RETURN_IF_ERROR(WriteFileAtomic(fs, StrCat(to, "/", name), data));
    }
    return to;
  };
  absl::StatusOr<std::string> copied = copy();
  if (copied.ok()) {
    Deliver(message.to, [from = self_, message, copied = *copied](TransportHandler* handler) {
      handler->OnSnapshotFiles(from, message, copied);
    });
  }
  member_->loop->Post(
      [member = member_, status = copied.status(), done = std::move(done)]() mutable {
        std::lock_guard lock(member->mu);
        if (member->handler != nullptr) done(status);
      });
}

}  // namespace keel::raft
