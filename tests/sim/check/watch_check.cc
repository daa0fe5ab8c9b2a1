#include "tests/sim/check/watch_check.h"

#include <algorithm>

#include "base/strings.h"

namespace keel::sim {

using base::StrCat;

namespace {

std::string Name(const WatchRecord& watch) {
  return StrCat("watch ", watch.id, " of client ", watch.client, " on ", watch.key,
                watch.range_end.empty() ? "" : StrCat("..", watch.range_end), " from revision ",
                watch.start_revision);
}

std::string WriteText(const Write& write) {
  return write.type == Write::Type::kDelete
             ? StrCat("delete ", write.kv.key, "@", write.kv.mod_revision)
             : StrCat("put ", write.kv.key, "=", write.kv.value, "@", write.kv.mod_revision);
}

bool Wants(const WatchRecord& watch, const Write& write) {
  if (!InRange(write.kv.key, watch.key, watch.range_end)) return false;
  return write.type == Write::Type::kDelete ? !watch.no_delete : !watch.no_put;
}

// The first revision the watch is to see; 0 while it is not created.
int64_t First(const WatchRecord& watch) {
  if (watch.start_revision > 0) return watch.start_revision;
  for (const WatchResponse& response : watch.responses) {
    if (response.kind == WatchResponse::Kind::kCreated) return response.revision + 1;
  }
  return 0;
}

class Check {
 public:
  Check(const WatchRecord& watch, const WriteLog& log)
      : watch_(watch), log_(log), next_(First(watch)) {}

  Verdict Run() {
    bool created = false;
    bool ended = false;
    for (const WatchResponse& response : watch_.responses) {
      if (ended) return Fail("nothing after its end", "it goes on after it was canceled");
      if (response.kind == WatchResponse::Kind::kCreated) {
        if (created) return Fail("created once", "it was created twice");
        created = true;
        continue;
      }
      if (response.kind == WatchResponse::Kind::kCanceled) {
        ended = true;
        continue;
      }
      if (!created) return Fail("created first", "events come before it is created");
      if (response.revision > log_.last()) {
        return Fail("revisions exist", StrCat("a response names revision ", response.revision,
                                              ", but the store's last is ", log_.last()));
      }
      Verdict v =
          response.kind == WatchResponse::Kind::kEvents ? Events(response) : Progress(response);
      if (!v.ok()) return v;
    }
    return Verdict::Ok();
  }

  // Nothing that matches is left before `revision` (exclusive), from next_ on.
  Verdict NothingMissedBefore(int64_t revision, const std::string& because) const {
    for (int64_t r = std::max<int64_t>(next_, 2); r < revision; ++r) {
      const Revision* there = log_.Find(r);
      if (there == nullptr) continue;
      for (const Write& write : there->writes) {
        if (Wants(watch_, write)) {
          return Fail("reliable",
                      StrCat("it missed ", WriteText(write), ": it had everything before ", next_,
                             ", and then ", because));
        }
      }
    }
    return Verdict::Ok();
  }

  int64_t next() const { return next_; }

 private:
  Verdict Fail(std::string rule, const std::string& text) const {
    return Verdict::Violation(rule, StrCat(rule, ": ", Name(watch_), ": ", text), {watch_.id});
  }

  Verdict Progress(const WatchResponse& response) {
    if (in_fragments_) return Fail("atomic", "progress comes between fragments of a response");
    Verdict v = NothingMissedBefore(response.revision + 1,
                                    StrCat("progress up to ", response.revision, " was told"));
    if (!v.ok()) return v;
    next_ = std::max(next_, response.revision + 1);
    return v;
  }

  Verdict Events(const WatchResponse& response) {
    if (response.fragment && !watch_.fragments) {
      return Fail("atomic", "it gets fragments it did not ask for");
    }
    if (response.events.empty()) return Fail("responses carry events", "it got an empty response");
    for (const WatchEvent& event : response.events) {
      Verdict v = OneEvent(event, response);
      if (!v.ok()) return v;
    }
    in_fragments_ = response.fragment;
    if (!response.fragment) return EndRevision("the response ended");
    return Verdict::Ok();
  }

  Verdict OneEvent(const WatchEvent& event, const WatchResponse& response) {
    const int64_t revision = event.write.kv.mod_revision;
    if (revision > response.revision) {
      return Fail("bookmarkable", StrCat("the header says revision ", response.revision,
                                         ", but it carries ", WriteText(event.write)));
    }
    if (revision < next_ && revision != current_) {
      return Fail(revision < delivered_ ? "ordered" : "unique",
                  StrCat("it gets ", WriteText(event.write), ", though it had everything before ",
                         next_, revision == delivered_ ? " (it has had this revision)" : ""));
    }
    if (revision != current_) {
      Verdict v = EndRevision(StrCat("came ", WriteText(event.write)));
      if (v.ok()) v = NothingMissedBefore(revision, StrCat("came ", WriteText(event.write)));
      if (!v.ok()) return v;
      current_ = revision;
      place_ = 0;
    }
    const Revision* there = log_.Find(revision);
    // The writes of the revision in their order, those that match, each once.
    while (there != nullptr && place_ < there->writes.size() &&
           !Wants(watch_, there->writes[place_])) {
      ++place_;
    }
    if (there == nullptr || place_ >= there->writes.size() ||
        !(there->writes[place_] == event.write)) {
      const bool was_there =
          there != nullptr &&
          std::find(there->writes.begin(), there->writes.end(), event.write) != there->writes.end();
      return Fail(was_there ? "unique" : "what was written",
                  StrCat("it gets ", WriteText(event.write),
                         was_there ? ", twice or out of its place in the revision"
                         : there == nullptr || place_ >= there->writes.size()
                             ? ", which the store never wrote for it"
                             : StrCat(", but the store wrote ", WriteText(there->writes[place_]))));
    }
    ++place_;
    return Previous(event, revision);
  }

  Verdict Previous(const WatchEvent& event, int64_t revision) const {
    if (!event.prev.has_value()) return Verdict::Ok();
    if (!watch_.prev_kv) return Fail("prev_kv", "it gets a previous version it did not ask for");
    const KeyVersion* before = log_.At(event.write.kv.key, revision - 1);
    if (before == nullptr || !(*before == *event.prev)) {
      return Fail(
          "prev_kv",
          StrCat("with ", WriteText(event.write), " it gets as the version before ",
                 event.prev->value, "@", event.prev->mod_revision, ", but that was ",
                 before == nullptr ? "none" : StrCat(before->value, "@", before->mod_revision)));
    }
    return Verdict::Ok();
  }

  // The revision being received is complete, or it was split.
  Verdict EndRevision(const std::string& because) {
    if (current_ == 0) return Verdict::Ok();
    const Revision* there = log_.Find(current_);
    for (; there != nullptr && place_ < there->writes.size(); ++place_) {
      if (Wants(watch_, there->writes[place_])) {
        return Fail("atomic", StrCat("of revision ", current_, " it lacks ",
                                     WriteText(there->writes[place_]), " when ", because));
      }
    }
    delivered_ = current_;
    next_ = current_ + 1;
    current_ = 0;
    return Verdict::Ok();
  }

  const WatchRecord& watch_;
  const WriteLog& log_;
  int64_t next_;           // all before it is delivered, or was never to be
  int64_t current_ = 0;    // the revision being received
  size_t place_ = 0;       // in its writes
  int64_t delivered_ = 0;  // the last revision with an event
  bool in_fragments_ = false;
};

}  // namespace

int64_t WatchRecord::Next() const {
  int64_t next = First(*this);
  for (const WatchResponse& response : responses) {
    if (response.kind == WatchResponse::Kind::kProgress) {
      next = std::max(next, response.revision + 1);
    } else if (response.kind == WatchResponse::Kind::kEvents && !response.fragment) {
      for (const WatchEvent& event : response.events) {
        next = std::max(next, event.write.kv.mod_revision + 1);
      }
    }
  }
  return next;
}

Verdict CheckWatch(const WatchRecord& watch, const WriteLog& log) {
  return Check(watch, log).Run();
}

Verdict CheckResumed(std::span<const WatchRecord> records, const WriteLog& log) {
  for (size_t i = 0; i < records.size(); ++i) {
    Verdict v = CheckWatch(records[i], log);
    if (!v.ok()) return v;
    if (i == 0) continue;
    const int64_t next = records[i - 1].Next();
    // One that was never created knows of nothing yet and promises nothing.
    if (next != 0 && records[i].start_revision != next) {
      return Verdict::Violation(
          "resumable", StrCat("resumable: ", Name(records[i]), " was to go on at revision ", next),
          {records[i].id});
    }
  }
  return Verdict::Ok();
}

Verdict CheckCaughtUp(const WatchRecord& watch, const WriteLog& log, int64_t revision) {
  Check check(watch, log);
  Verdict v = check.Run();
  if (!v.ok()) return v;
  if (!watch.responses.empty() && watch.responses.back().kind == WatchResponse::Kind::kCanceled) {
    return v;
  }
  if (check.next() == 0) {
    return Verdict::Violation("caught up", StrCat("caught up: ", Name(watch), " was never created"),
                              {watch.id});
  }
  return check.NothingMissedBefore(revision + 1, StrCat("all was quiet at revision ", revision));
}

}  // namespace keel::sim
