// What can be done with the objects of a kind over HTTP: one method per verb and subresource.
//
// Each is called with a request that has passed authentication and authorization, and answers it at
// some time. The files: reads.cc, list.cc, watch.cc, create.cc, update.cc, delete.cc and one per
// subresource.
//
// Thread-safety: on the server's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/managed_fields.h"
#include "orchestrator/apiserver/context.h"
#include "orchestrator/apiserver/delete_rules.h"
#include "orchestrator/apiserver/event_lease.h"
#include "orchestrator/apiserver/presenter.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/service_addresses.h"
#include "orchestrator/apiserver/writer.h"

namespace keel::orchestrator {

using KindPtr = std::shared_ptr<const Kind>;

struct PageRead;

class ObjectApi {
 public:
  explicit ObjectApi(ServerContext& context)
      : context_(context), presenter_(context.kinds), writer_(context) {}
  // Without it services get no addresses; without a lease events stay.
  void SetAddresses(ServiceAddresses* addresses) { addresses_ = addresses; }
  void SetEventLease(EventLease* lease) { event_lease_ = lease; }
  ServiceAddresses* addresses() { return addresses_; }

  void Get(RequestPtr request, KindPtr kind);
  void List(RequestPtr request, KindPtr kind);
  void Watch(RequestPtr request, KindPtr kind);
  void Create(RequestPtr request, KindPtr kind);
  void Update(RequestPtr request, KindPtr kind);  // PUT, also of status
  void Patch(RequestPtr request, KindPtr kind);   // also of status
  void Delete(RequestPtr request, KindPtr kind);
  void DeleteCollection(RequestPtr request, KindPtr kind);

  // ---- Subresources

  void GetScale(RequestPtr request, KindPtr kind);
  void WriteScale(RequestPtr request, KindPtr kind);  // PUT and PATCH
  // POST pods/NAME/binding, and POST bindings.
  void Bind(RequestPtr request, KindPtr pods);
  void Evict(RequestPtr request, KindPtr pods);
  void FinalizeNamespace(RequestPtr request, KindPtr kind);

  ServerContext& context() { return context_; }
  Presenter& presenter() { return presenter_; }
  Writer& writer() { return writer_; }

  // ---- For the parts

  // The object of a body, in `kind`'s version: decoded, its fields checked as the query's
  // fieldValidation says.
  absl::StatusOr<json::object> DecodeObject(Request& request, const Kind& kind);
  absl::Status CheckUnknownFields(Request& request, const Kind& kind, json::object& object,
                                  std::vector<std::string> duplicates);
  // dryRun=All of the query; BadRequest for another value.
  absl::StatusOr<bool> DryRun(const Request& request);
  // What a write led to, in the form that was asked for.
  void Answer(Request& request, const KindPtr& kind, int code, const Written& written);

  // Answers with the object that was made.
  void CreateObject(RequestPtr request, KindPtr kind, json::object decoded);
  // What the server alone gives a new object: UID, time, generation.
  void MakeNew(const Kind& kind, json::object& object) const;
  // From what a client sent to what may be stored, by the kind's rules and the cluster's. `before`
  // null: it is created.
  absl::Status Admit(Request& request, const KindPtr& kind, bool dry_run, json::object& object,
                     const json::object* before, WritePlan& plan);
  // What else the write of `plan` takes or gives back: addresses of services, the lease of events.
  absl::Status Reserve(const Kind& kind, const json::object* before, WritePlan& plan);
  void DeleteObject(RequestPtr request, KindPtr kind, std::string ns, std::string name,
                    DeletionOptions options, Writer::Done done);
  // Whether who asks for an update or a patch may create as well, since it would.
  absl::Status MayCreate(const Request& request) const;
  WriteTarget TargetOf(const Request& request, const Kind& kind, bool dry_run) const;

 private:
  using Changed = std::function<absl::StatusOr<json::object>(const json::object& before)>;
  void Apply(RequestPtr request, KindPtr kind);  // Patch, on the server's side
  FieldManager ManagerOf(const Request& request, const Kind& kind) const;
  absl::StatusOr<std::string> ScaleBytes(const Kind& kind, std::string_view bytes);
  // Update and Patch: `change` makes the new object of the present one.
  void UpdateWith(RequestPtr request, KindPtr kind, Changed change);
  void TryCreate(RequestPtr request, KindPtr kind, std::shared_ptr<const json::object> wanted,
                 bool dry_run, int tries);

  void ListFromCache(const std::shared_ptr<PageRead>& read);
  void ListFromStore(const std::shared_ptr<PageRead>& read);

  ServerContext& context_;
  Presenter presenter_;
  Writer writer_;
  ServiceAddresses* addresses_ = nullptr;
  EventLease* event_lease_ = nullptr;
};

std::string RandomSuffix();  // 5 characters, as Kubernetes makes them
std::string RandomUid();     // a UUID of version 4

}  // namespace keel::orchestrator
