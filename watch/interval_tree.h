// A set of key ranges, each with a value, that answers "which ranges contain
// this key" in O(log n) steps for each one found.
//
//   IntervalTree<Group*> tree;
//   tree.Insert(range, group);
//   tree.ForEachContaining("a/b", [](Group* group) { ... });
//   tree.Erase(range);
//
// An augmented search tree (Cormen et al., "Introduction to Algorithms",
// section 14.3) kept balanced as a treap (Seidel and Aragon, "Randomized
// Search Trees", 1996). Invariants: nodes are in order of (key, end); a node's
// priority is at least that of its children; `furthest` is the node of the
// subtree whose range ends last.
//
// Thread-safety: none. Deterministic: priorities come from a fixed sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "watch/key_range.h"

namespace keel::watch {

template <typename T>
class IntervalTree {
 public:
  // REQUIRES: the range is not empty and not in the tree.
  void Insert(const KeyRange& range, T value) {
    KEEL_CHECK(!range.empty());
    auto node = std::make_unique<Node>();
    node->range = range;
    node->value = std::move(value);
    node->priority = NextPriority();
    node->furthest = node.get();
    root_ = Insert(std::move(root_), std::move(node));
    ++size_;
  }

  // REQUIRES: the range is in the tree.
  void Erase(const KeyRange& range) {
    root_ = Erase(std::move(root_), range);
    --size_;
  }

  // The value of exactly this range; null when it is not in the tree.
  T* Find(const KeyRange& range) {
    Node* node = root_.get();
    while (node != nullptr) {
      const int order = Compare(range, node->range);
      if (order == 0) return &node->value;
      node = (order < 0 ? node->left : node->right).get();
    }
    return nullptr;
  }

  // REQUIRES: `visit` does not change the tree.
  template <typename Visit>
  void ForEachContaining(std::string_view key, Visit&& visit) const {
    ForEachContaining(root_.get(), key, visit);
  }

  size_t size() const { return size_; }

 private:
  struct Node {
    KeyRange range;
    T value;
    uint64_t priority = 0;
    const Node* furthest = nullptr;
    std::unique_ptr<Node> left, right;
  };
  using NodePtr = std::unique_ptr<Node>;

  static int CompareEnds(const KeyRange& a, const KeyRange& b) {
    if (a.unbounded || b.unbounded) return int{a.unbounded} - int{b.unbounded};
    return a.end.compare(b.end);
  }
  static int Compare(const KeyRange& a, const KeyRange& b) {
    const int order = a.key.compare(b.key);
    return order != 0 ? order : CompareEnds(a, b);
  }

  static void Update(Node& node) {
    node.furthest = &node;
    for (const Node* child : {node.left.get(), node.right.get()}) {
      if (child != nullptr && CompareEnds(child->furthest->range, node.furthest->range) > 0) {
        node.furthest = child->furthest;
      }
    }
  }

  // Splits by order: what is below `range` goes left, the rest right.
  static std::pair<NodePtr, NodePtr> Split(NodePtr node, const KeyRange& range) {
    if (node == nullptr) return {};
    if (Compare(node->range, range) < 0) {
      auto [left, right] = Split(std::move(node->right), range);
      node->right = std::move(left);
      Update(*node);
      return {std::move(node), std::move(right)};
    }
    auto [left, right] = Split(std::move(node->left), range);
    node->left = std::move(right);
    Update(*node);
    return {std::move(left), std::move(node)};
  }

  // REQUIRES: everything in `left` is below everything in `right`.
  static NodePtr Merge(NodePtr left, NodePtr right) {
    if (left == nullptr) return right;
    if (right == nullptr) return left;
    if (left->priority >= right->priority) {
      left->right = Merge(std::move(left->right), std::move(right));
      Update(*left);
      return left;
    }
    right->left = Merge(std::move(left), std::move(right->left));
    Update(*right);
    return right;
  }

  static NodePtr Insert(NodePtr node, NodePtr added) {
    if (node == nullptr || added->priority > node->priority) {
      auto [left, right] = Split(std::move(node), added->range);
      added->left = std::move(left);
      added->right = std::move(right);
      Update(*added);
      return added;
    }
    const int order = Compare(added->range, node->range);
    KEEL_CHECK(order != 0, "range inserted twice");
    NodePtr& child = order < 0 ? node->left : node->right;
    child = Insert(std::move(child), std::move(added));
    Update(*node);
    return node;
  }

  static NodePtr Erase(NodePtr node, const KeyRange& range) {
    KEEL_CHECK(node != nullptr, "range not in the tree");
    const int order = Compare(range, node->range);
    if (order == 0) return Merge(std::move(node->left), std::move(node->right));
    NodePtr& child = order < 0 ? node->left : node->right;
    child = Erase(std::move(child), range);
    Update(*node);
    return node;
  }

  template <typename Visit>
  static void ForEachContaining(const Node* node, std::string_view key, Visit& visit) {
    while (node != nullptr) {
      const KeyRange& furthest = node->furthest->range;
      if (!furthest.unbounded && key >= furthest.end) return;
      ForEachContaining(node->left.get(), key, visit);
      if (key < node->range.key) return;
      if (node->range.unbounded || key < node->range.end) visit(node->value);
      node = node->right.get();
    }
  }

  uint64_t NextPriority() {  // xorshift64 (Marsaglia, 2003)
    sequence_ ^= sequence_ << 13;
    sequence_ ^= sequence_ >> 7;
    sequence_ ^= sequence_ << 17;
    return sequence_;
  }

  NodePtr root_;
  size_t size_ = 0;
  uint64_t sequence_ = 0x9E3779B97F4A7C15;
};

}  // namespace keel::watch
