// A long list on its way out: items are encoded as the client takes them, so that a list of a
// hundred thousand objects never exists as one text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/presenter.h"
#include "orchestrator/apiserver/request.h"

namespace keel::orchestrator {

// Answers `request` with the list; short ones go out whole.
void SendList(Request& request, const Presenter& presenter, Presenter::View view,
              json::object list_metadata, std::vector<CachedObjectPtr> objects);

}  // namespace keel::orchestrator
