#include "tests/sim/check/lease_check.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "base/strings.h"

namespace keel::sim {

using base::StrCat;

namespace {

std::string Seconds(Nanos at) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3fs", static_cast<double>(at) / 1e9);
  return text;
}

// Scaled by a clock that runs fast (shorter) or slow (longer).
Nanos Shorter(Nanos ttl, double drift) {
  return static_cast<Nanos>(static_cast<double>(ttl) * (1 - drift));
}
Nanos Longer(Nanos ttl, double drift) {
  return static_cast<Nanos>(static_cast<double>(ttl) * (1 + drift));
}

class Check {
 public:
  Check(const LeaseRecord& lease, const WriteLog& log, const LeaseCheckOptions& options)
      : lease_(lease), log_(log), options_(options) {}

  Verdict Run() {
    for (const Revision& revision : log_.revisions()) {
      Verdict v = OneRevision(revision);
      if (!v.ok()) return v;
    }
    return AtTheEnd();
  }

 private:
  Verdict Fail(std::string rule, const std::string& text) const {
    return Verdict::Violation(rule, StrCat(rule, ": lease ", lease_.id, ": ", text));
  }

  Verdict OneRevision(const Revision& revision) {
    const bool by_client = options_.client_revisions.contains(revision.revision);
    bool ends = false;
    std::string gone;
    for (const Write& write : revision.writes) {
      const std::string& key = write.kv.key;
      if (write.type == Write::Type::kPut) {
        if (write.kv.lease == lease_.id) {
          if (ended_ != 0) {
            return Fail("nothing is attached after the end",
                        StrCat("key ", key, " is put under it at revision ", revision.revision,
                               ", though it ended at revision ", ended_));
          }
          attached_[key] = revision.revision;
        } else {
          attached_.erase(key);
        }
      } else if (attached_.erase(key) > 0 && !by_client) {
        ends = true;
        gone = key;
      }
    }
    if (!ends) return Verdict::Ok();
    if (!attached_.empty()) {
      return Fail("all at once", StrCat("revision ", revision.revision, " deletes its key ", gone,
                                        " but not ", attached_.begin()->first));
    }
    ended_ = revision.revision;
    return NotEarly(revision, gone);
  }

  Verdict NotEarly(const Revision& revision, const std::string& key) const {
    if (lease_.revoke_invoked <= revision.at && lease_.revoke_outcome != Outcome::kFail) {
      return Verdict::Ok();
    }
    for (const Renewal& renewal : lease_.renewals) {
      if (renewal.outcome != Outcome::kOk || renewal.returned > revision.at) continue;
      const Nanos earliest = renewal.invoked + Shorter(renewal.ttl, options_.drift);
      if (revision.at < earliest) {
        return Fail("never early",
                    StrCat("key ", key, " is deleted at ", Seconds(revision.at), " (revision ",
                           revision.revision, "), though a renewal for ", Seconds(renewal.ttl),
                           " was asked at ", Seconds(renewal.invoked), " and acknowledged at ",
                           Seconds(renewal.returned)));
      }
    }
    return Verdict::Ok();
  }

  Verdict AtTheEnd() const {
    if (attached_.empty()) return Verdict::Ok();
    const std::string& key = attached_.begin()->first;
    if (lease_.revoke_outcome == Outcome::kOk && lease_.revoke_invoked != kNever) {
      return Fail("revoked",
                  StrCat("the revoke was acknowledged at ", Seconds(lease_.revoke_returned),
                         ", but key ", key, " is still there"));
    }
    if (options_.stable_from == kNever || lease_.renewals.empty()) return Verdict::Ok();
    // The latest a renewal can have counted from: one without an answer may
    // have been taken at any time, at the latest when all was stable.
    Nanos from = options_.stable_from;
    Nanos ttl = 0;
    for (const Renewal& renewal : lease_.renewals) {
      if (renewal.outcome == Outcome::kFail) continue;
      ttl = std::max(ttl, renewal.ttl);
      from = std::max(from, renewal.returned == kNever ? renewal.invoked : renewal.returned);
    }
    const Nanos deadline = from + Longer(ttl, options_.drift) + options_.expiry_bound;
    if (options_.end > deadline) {
      return Fail("expires in time",
                  StrCat("key ", key, " is still there at ", Seconds(options_.end),
                         ", though the last renewal was at ", Seconds(from), " at the latest, for ",
                         Seconds(ttl), ", and the cluster was stable since ",
                         Seconds(options_.stable_from)));
    }
    return Verdict::Ok();
  }

  const LeaseRecord& lease_;
  const WriteLog& log_;
  const LeaseCheckOptions& options_;
  std::map<std::string, int64_t> attached_;  // key → since which revision
  int64_t ended_ = 0;
};

}  // namespace

Verdict CheckLease(const LeaseRecord& lease, const WriteLog& log,
                   const LeaseCheckOptions& options) {
  return Check(lease, log, options).Run();
}

}  // namespace keel::sim
