#include "kvstore/apply/cluster_state.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"

namespace keel::kvstore {

namespace {

// Keys of `meta`; ids follow big-endian.
constexpr std::string_view kConf = "conf";
constexpr std::string_view kMember = "member/";
constexpr std::string_view kRemoved = "removed/";
constexpr std::string_view kAlarm = "alarm/";  // type (one byte), member id: kAutomatic, or empty
constexpr std::string_view kAutomatic = "a";
constexpr std::string_view kVersion = "cluster_version";
constexpr std::string_view kLevel = "cluster_level";  // a varint; 0 when missing

std::string IdKey(std::string_view prefix, uint64_t id) {
  std::string key(prefix);
  AppendBig64(id, &key);
  return key;
}

std::string AlarmKey(const Alarm& alarm) {
  std::string key(kAlarm);
  key.push_back(static_cast<char>(alarm.type));
  AppendBig64(alarm.member_id, &key);
  return key;
}

bool AlarmBefore(const Alarm& a, const Alarm& b) {
  return std::tie(a.type, a.member_id) < std::tie(b.type, b.member_id);
}

void AppendIds(const std::vector<raft::NodeId>& ids, std::string* out) {
  AppendVarint(ids.size(), out);
  for (const raft::NodeId id : ids) AppendVarint(id, out);
}

bool ReadIds(std::string_view* in, std::vector<raft::NodeId>* ids) {
  uint64_t size = 0;
  if (!ReadVarint(in, &size) || size > in->size()) return false;
  ids->resize(size);
  return std::all_of(ids->begin(), ids->end(),
                     [in](raft::NodeId& id) { return ReadVarint(in, &id); });
}

std::string EncodeConf(const raft::ConfState& conf) {
  std::string out;
  AppendIds(conf.voters, &out);
  AppendIds(conf.learners, &out);
  AppendIds(conf.voters_outgoing, &out);
  AppendIds(conf.learners_next, &out);
  AppendVarint(conf.auto_leave ? 1 : 0, &out);
  return out;
}

bool DecodeConf(std::string_view in, raft::ConfState* conf) {
  uint64_t auto_leave = 0;
  if (!ReadIds(&in, &conf->voters) || !ReadIds(&in, &conf->learners) ||
      !ReadIds(&in, &conf->voters_outgoing) || !ReadIds(&in, &conf->learners_next) ||
      !ReadVarint(&in, &auto_leave)) {
    return false;
  }
  conf->auto_leave = auto_leave != 0;
  return in.empty();
}

}  // namespace

etcdserverpb::Member ToProto(const Member& member) {
  etcdserverpb::Member proto;
  proto.set_id(member.id);
  proto.set_name(member.name);
  for (const std::string& url : member.peer_urls) proto.add_peerurls(url);
  for (const std::string& url : member.client_urls) proto.add_clienturls(url);
  proto.set_islearner(member.is_learner);
  return proto;
}

Member FromProto(const etcdserverpb::Member& proto) {
  return {proto.id(),
          proto.name(),
          {proto.peerurls().begin(), proto.peerurls().end()},
          {proto.clienturls().begin(), proto.clienturls().end()},
          proto.islearner()};
}

absl::Status ClusterState::Load(const Store& store) {
  KEEL_RETURN_IF_ERROR(auth_.Load(store));
  bool damaged = false;
  std::vector<Member> members;
  KEEL_RETURN_IF_ERROR(store.ScanMeta(kMember, [&](std::string_view, std::string_view value) {
    etcdserverpb::Member proto;
    damaged = !proto.ParseFromArray(value.data(), static_cast<int>(value.size())) || damaged;
    members.push_back(FromProto(proto));
  }));
  MemberTable::Removed removed;
  // Version 0.1 wrote no index: by now it was removed.
  const uint64_t by_now = std::max<uint64_t>(store.applied_index(), 1);
  KEEL_RETURN_IF_ERROR(store.ScanMeta(kRemoved, [&](std::string_view key, std::string_view value) {
    damaged = key.size() != 8 || (!value.empty() && value.size() != 8) || damaged;
    if (damaged) return;
    const uint64_t index = value.empty() ? by_now : LoadBig64(value.data());
    removed[LoadBig64(key.data())] = std::max<uint64_t>(index, 1);
  }));
  std::vector<Alarm> alarms;
  KEEL_RETURN_IF_ERROR(store.ScanMeta(kAlarm, [&](std::string_view key, std::string_view value) {
    damaged = key.size() != 9 || damaged;
    if (!damaged) {
      alarms.push_back({LoadBig64(key.data() + 1), static_cast<etcdserverpb::AlarmType>(key[0]),
                        value == kAutomatic});
    }
  }));
  std::vector<Lease> leases;
  KEEL_RETURN_IF_ERROR(store.ScanLeases([&](int64_t id, int64_t granted, int64_t remaining) {
    leases.push_back({id, granted, remaining});
  }));
  raft::ConfState conf;
  std::string bytes;
  KEEL_ASSIGN_OR_RETURN(const bool has_conf, store.GetMeta(kConf, &bytes));
  damaged = (has_conf && !DecodeConf(bytes, &conf)) || damaged;
  std::string version;
  KEEL_ASSIGN_OR_RETURN(const bool has_version, store.GetMeta(kVersion, &version));
  if (!has_version) version.clear();
  uint64_t level = 0;
  std::string level_bytes;
  KEEL_ASSIGN_OR_RETURN(const bool has_level, store.GetMeta(kLevel, &level_bytes));
  std::string_view rest = level_bytes;
  damaged = (has_level && (!ReadVarint(&rest, &level) || !rest.empty())) || damaged;
  if (damaged) return absl::DataLossError("store: damaged record in family default");

  members_.Assign(std::move(members), std::move(removed));
  leases_.Assign(leases);
  conf_ = std::move(conf);
  level_.store(static_cast<uint32_t>(level), std::memory_order_relaxed);
  base::MutexLock lock(&mutex_);
  alarms_ = std::move(alarms);
  version_ = std::move(version);
  return absl::OkStatus();
}

absl::Status ClusterState::ForgetCluster(Store& store) {
  for (const std::string_view prefix : {kMember, kRemoved, kAlarm, kVersion, kConf}) {
    std::vector<std::string> keys;
    KEEL_RETURN_IF_ERROR(store.ScanMeta(prefix, [&](std::string_view key, std::string_view) {
      keys.push_back(base::StrCat(prefix, key));
    }));
    for (const std::string& key : keys) store.writer().DeleteMeta(key);
  }
  members_.Assign({}, {});
  conf_ = raft::ConfState();
  base::MutexLock lock(&mutex_);
  alarms_.clear();
  version_.clear();
  return absl::OkStatus();
}

std::vector<Alarm> ClusterState::alarms() const {
  base::MutexLock lock(&mutex_);
  return alarms_;
}

bool ClusterState::HasAlarm(etcdserverpb::AlarmType type) const {
  base::MutexLock lock(&mutex_);
  return std::any_of(alarms_.begin(), alarms_.end(),
                     [type](const Alarm& alarm) { return alarm.type == type; });
}

std::string ClusterState::version() const {
  base::MutexLock lock(&mutex_);
  return version_;
}

void ClusterState::SetLease(Writer& writer, const Lease& lease) {
  writer.PutLease(lease.id, lease.granted_ttl, lease.remaining_ttl);
  leases_.Set(lease);
}

void ClusterState::RemoveLease(Writer& writer, int64_t id) {
  writer.DeleteLease(id);
  leases_.Remove(id);
}

void ClusterState::SetMember(Writer& writer, Member member) {
  writer.PutMeta(IdKey(kMember, member.id), ToProto(member).SerializeAsString());
  members_.Set(std::move(member));
}

bool ClusterState::RemoveMember(Writer& writer, uint64_t id, raft::Index index) {
  writer.DeleteMeta(IdKey(kMember, id));
  std::string at;
  AppendBig64(index, &at);
  writer.PutMeta(IdKey(kRemoved, id), at);
  members_.Remove(id, index);
  return ClearAlarm(writer, {id, etcdserverpb::NOSPACE});
}

bool ClusterState::RaiseAlarm(Writer& writer, const Alarm& alarm) {
  base::MutexLock lock(&mutex_);
  const auto place = std::lower_bound(alarms_.begin(), alarms_.end(), alarm, AlarmBefore);
  if (place != alarms_.end() && !AlarmBefore(alarm, *place)) {
    if (alarm.automatic || !place->automatic) return false;
    *place = alarm;
  } else {
    alarms_.insert(place, alarm);
  }
  writer.PutMeta(AlarmKey(alarm), alarm.automatic ? kAutomatic : std::string_view());
  return true;
}

bool ClusterState::ClearAlarm(Writer& writer, const Alarm& alarm) {
  base::MutexLock lock(&mutex_);
  const auto place = std::lower_bound(alarms_.begin(), alarms_.end(), alarm, AlarmBefore);
  if (place == alarms_.end() || AlarmBefore(alarm, *place)) return false;
  if (alarm.automatic && !place->automatic) return false;
  alarms_.erase(place);
  writer.DeleteMeta(AlarmKey(alarm));
  return true;
}

void ClusterState::SetVersion(Writer& writer, std::string version) {
  writer.PutMeta(kVersion, version);
  base::MutexLock lock(&mutex_);
  version_ = std::move(version);
}

void ClusterState::SetLevel(Writer& writer, uint32_t level) {
  std::string bytes;
  AppendVarint(level, &bytes);
  writer.PutMeta(kLevel, bytes);
  level_.store(level, std::memory_order_relaxed);
}

void ClusterState::SetConf(Writer& writer, const raft::ConfState& conf) {
  if (conf == conf_) return;
  writer.PutMeta(kConf, EncodeConf(conf));
  conf_ = conf;
}

}  // namespace keel::kvstore
