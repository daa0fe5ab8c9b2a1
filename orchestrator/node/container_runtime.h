// The seam between a node agent, which decides what should run, and what runs it.
//
// The agent (PodManager) keeps Kubernetes' rules: admission, the order of init containers, restarts
// and their back-off, phases and conditions, graceful deletion. A runtime makes sandboxes, starts
// containers and says what became of them. HollowRuntime pretends; one that runs processes fits
// here too.
//
//   runtime.CreateSandbox(pod, context);      // ... events.SandboxReady(pod, ip)
//   runtime.StartContainer(pod, 0, 0);        // ... ContainerStarted, ContainerReady, ...Exited
//   runtime.StopPod(pod, grace);              // ... PodStopped
//   runtime.RemovePod(pod);                   // nothing follows
//
// Thread-safety: all calls and all events on the agent's loop; events never inside a call. Events
// of a pod that was removed must not come.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/loop.h"
#include "orchestrator/node/pod_spec.h"

namespace keel::orchestrator {

// Names one pod of this agent; never used again.
using PodHandle = uint64_t;

struct PodContext {
  uint32_t node = 0;  // index of the node among the agent's
  std::string ns, name, uid;
  std::shared_ptr<const PodSpec> spec;
};

class ContainerRuntime {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void SandboxReady(PodHandle pod, std::string_view ip) = 0;
    // `container` counts init containers first (PodSpec::at).
    virtual void ContainerStarted(PodHandle pod, size_t container) = 0;
    virtual void ContainerReady(PodHandle pod, size_t container, bool ready) = 0;
    virtual void ContainerExited(PodHandle pod, size_t container, int exit_code) = 0;
    virtual void PodStopped(PodHandle pod, int exit_code) = 0;
  };

  virtual ~ContainerRuntime() = default;

  // Before all else; `events` must live as long as the runtime.
  virtual void SetEvents(Events& events) = 0;
  virtual void CreateSandbox(PodHandle pod, PodContext context) = 0;
  // Instead of CreateSandbox: an agent before this one made it, with that address.
  virtual void AdoptSandbox(PodHandle pod, PodContext context, std::string_view ip) = 0;
  // `attempt`: how often it was started before. REQUIRES: SandboxReady has come.
  virtual void StartContainer(PodHandle pod, size_t container, int attempt) = 0;
  // Runs since then, started by an agent before this one; no ContainerStarted follows.
  virtual void AdoptContainer(PodHandle pod, size_t container, absl::Time started) = 0;
  // Ends all containers, at the latest after `grace`; PodStopped follows, once.
  virtual void StopPod(PodHandle pod, base::Duration grace) = 0;
  // Frees all that is left of it.
  virtual void RemovePod(PodHandle pod) = 0;
  // "hollow://1.0": of nodeInfo.
  virtual std::string_view Version() const = 0;
};

}  // namespace keel::orchestrator
