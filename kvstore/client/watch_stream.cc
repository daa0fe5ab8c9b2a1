#include "kvstore/client/watch_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"

namespace keel::kvstore {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

WatchStream::WatchStream(std::shared_ptr<ClientCore> core)
    : core_(core),
      stream_(std::make_shared<ReopeningStream>(core, "/etcdserverpb.Watch/Watch", this)) {}

WatchStream::~WatchStream() {
  core_->loop().Cancel(create_timer_);
  stream_->Stop();
}

void WatchStream::Add(int64_t id, etcdserverpb::WatchCreateRequest request,
                      base::Duration reconnect_timeout, OnWatchResponse on_response,
                      OnWatchEnd on_end) {
  KEEL_CHECK(id != 0 && !watchers_.contains(id), "watch id ", id);
  auto watcher = std::make_shared<Entry>();
  watcher->next_revision = request.start_revision();
  watcher->request = std::move(request);
  watcher->request.set_watch_id(id);
  watcher->reconnect_timeout = reconnect_timeout;
  watcher->on_response = std::move(on_response);
  watcher->on_end = std::move(on_end);
  watcher->added = core_->loop().Now();
  watchers_.emplace(id, watcher);
  // When it is open already; otherwise OnOpened sends it.
  SendCreate(id, *watcher);
  if (watchers_.size() == 1) stream_->Start();
}

void WatchStream::SendCreate(int64_t id, Entry& watcher) {
  if (watcher.pending) return;
  if (watcher.next_revision != 0) watcher.request.set_start_revision(watcher.next_revision);
  WatchRequest request;
  *request.mutable_create_request() = watcher.request;
  if (!stream_->Send(request.SerializeAsString())) return;
  watcher.pending = true;
  pending_.push_back(id);
  ArmCreateTimer();
}

void WatchStream::OnOpened() {
  pending_.clear();
  // In the order in which they were added: ids only grow.
  std::vector<std::pair<int64_t, EntryPtr>> all(watchers_.begin(), watchers_.end());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [id, watcher] : all) {
    watcher->pending = false;
    watcher->fragments.Clear();
    SendCreate(id, *watcher);
  }
}

// A server that took the stream but confirms nothing is left for another.
void WatchStream::ArmCreateTimer() {
  if (create_timer_ != 0) return;
  create_timer_ = core_->loop().After(core_->options().request_timeout, [this] {
    create_timer_ = 0;
    if (!pending_.empty()) {
      stream_->Abandon(absl::UnavailableError("the server does not confirm the watch"));
    }
  });
}

void WatchStream::OnMessage(std::string_view message) {
  WatchResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return stream_->Abandon(absl::UnavailableError("the server sent a malformed watch response"));
  }
  int64_t id = response.watch_id();
  if (response.created()) {
    // Servers answer creations in order, and some refuse without the id.
    if (pending_.empty()) return;
    if (std::find(pending_.begin(), pending_.end(), id) == pending_.end()) id = pending_.front();
    pending_.erase(std::find(pending_.begin(), pending_.end(), id));
    if (pending_.empty()) core_->loop().Cancel(std::exchange(create_timer_, 0));
  } else if (id == -1 && !response.canceled()) {
    // Progress of the stream as a whole.
    std::vector<int64_t> ids;
    for (const auto& [watch_id, watcher] : watchers_) {
      if (watcher->created && !watcher->pending) ids.push_back(watch_id);
    }
    for (const int64_t watch_id : ids) {
      WatchResponse copy = response;
      Deliver(watch_id, copy);
    }
    return;
  }
  Deliver(id, response);
}

void WatchStream::Deliver(int64_t id, WatchResponse& response) {
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;  // Removed meanwhile.
  const EntryPtr watcher = found->second;
  response.set_watch_id(id);

  if (response.compact_revision() != 0) {
    return End(id, absl::OutOfRangeError("etcdserver: mvcc: required revision has been compacted"),
               response);
  }
  if (response.canceled()) {
    const std::string& reason = response.cancel_reason();
    return End(id,
               absl::CancelledError(reason.empty() ? "watch is canceled by the server" : reason),
               response);
  }
  if (response.created()) {
    watcher->pending = false;
    if (watcher->next_revision == 0) watcher->next_revision = response.header().revision() + 1;
    if (std::exchange(watcher->created, true)) return;
    return watcher->on_response(response);
  }
  if (response.events().empty()) {
    watcher->next_revision = std::max(watcher->next_revision, response.header().revision() + 1);
    return watcher->on_response(response);
  }

  // A revision in fragments is delivered when whole: a reconnection in its
  // midst then loses and repeats nothing.
  if (response.fragment() || !watcher->fragments.events().empty()) {
    watcher->fragments.mutable_events()->MergeFrom(response.events());
    if (response.fragment()) return;
    response.mutable_events()->Swap(watcher->fragments.mutable_events());
    watcher->fragments.Clear();
  }
  const int64_t next = watcher->next_revision;
  auto* events = response.mutable_events();
  if (events->begin()->kv().mod_revision() < next) {
    events->erase(
        std::remove_if(events->begin(), events->end(),
                       [next](const auto& event) { return event.kv().mod_revision() < next; }),
        events->end());
    if (events->empty()) return;
  }
  watcher->next_revision = events->rbegin()->kv().mod_revision() + 1;
  watcher->on_response(response);
}

void WatchStream::OnBroken(const absl::Status& status) {
  pending_.clear();
  core_->loop().Cancel(std::exchange(create_timer_, 0));
  const base::TimePoint now = core_->loop().Now();
  std::vector<int64_t> over;
  for (const auto& [id, watcher] : watchers_) {
    watcher->pending = false;
    const base::TimePoint since = watcher->created ? stream_->silent_since() : watcher->added;
    const base::Duration limit =
        watcher->created ? watcher->reconnect_timeout : core_->options().dial_timeout;
    if (now - since >= limit) over.push_back(id);
  }
  for (const int64_t id : over) End(id, status);
}

void WatchStream::OnRefused(const absl::Status& status) { EndAll(status); }

void WatchStream::EndAll(const absl::Status& status) {
  std::vector<int64_t> ids;
  for (const auto& [id, watcher] : watchers_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const int64_t id : ids) End(id, status);
}

void WatchStream::End(int64_t id, absl::Status status, const WatchResponse& last) {
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  const EntryPtr watcher = found->second;
  watchers_.erase(found);
  if (watchers_.empty()) {
    pending_.clear();
    stream_->Stop();
  }
  watcher->on_end({std::move(status), last.compact_revision(), last.header()});
}

void WatchStream::Remove(int64_t id) {
  if (watchers_.erase(id) == 0) return;
  if (watchers_.empty()) {
    pending_.clear();
    return stream_->Stop();
  }
  WatchRequest request;
  request.mutable_cancel_request()->set_watch_id(id);
  stream_->Send(request.SerializeAsString());
}

void WatchStream::RequestProgress() {
  WatchRequest request;
  request.mutable_progress_request();
  stream_->Send(request.SerializeAsString());
}

void WatchStream::Close() { EndAll(absl::CancelledError("the client is closed")); }

}  // namespace keel::kvstore
