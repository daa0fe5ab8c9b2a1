// Nodes as tiles, their pods as dots in them, on one canvas: five thousand nodes with thirty pods
// each are still drawn at once.

import {gridOf} from './model.js';

const GAP = 3;
const NAMED = 64;  // tiles at least this large show their node's name

function coloursOf(element) {
  const style = getComputedStyle(element);
  return name => style.getPropertyValue(`--${name}`).trim();
}

export const NodeGrid = {
  props: {nodes: Array, pods: Array},
  data: () => ({hover: null, x: 0, y: 0, pick: ''}),
  mounted() {
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.$refs.box);
    this.draw();
  },
  beforeDestroy() { this.resize.disconnect(); },
  watch: {
    nodes() { this.draw(); },
    pods() { this.draw(); },
  },
  computed: {
    byNode() {
      const map = new Map();
      for (const pod of this.pods) {
        const list = map.get(pod.node);
        if (list) list.push(pod);
        else map.set(pod.node, [pod]);
      }
      return map;
    },
    waiting() { return (this.byNode.get('') || []).length; },
    hoverPods() { return this.hover ? this.byNode.get(this.hover.name) || [] : []; },
  },
  methods: {
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const width = this.$refs.box.clientWidth;
      const grid = gridOf(this.nodes.length, width, 420);
      this.grid = grid;
      const height = Math.max(grid.rows * grid.size, 20);
      const scale = window.devicePixelRatio || 1;
      canvas.width = width * scale;
      canvas.height = height * scale;
      canvas.style.height = `${height}px`;
      const g = canvas.getContext('2d');
      g.scale(scale, scale);
      const colour = coloursOf(canvas);
      const tones = Object.fromEntries(
        ['running', 'starting', 'pending', 'done', 'failed', 'ending'].map(t => [t, colour(t)]));
      const tile = colour('tile'), lost = colour('tile-lost'), cordoned = colour('tile-cordoned'), text = colour('quiet');
      this.nodes.forEach((node, i) => {
        const x = (i % grid.columns) * grid.size, y = Math.floor(i / grid.columns) * grid.size;
        const gap = grid.size > 14 ? GAP : 1;
        const side = grid.size - gap;
        g.fillStyle = node.ready !== 'True' ? lost : node.cordoned ? cordoned : tile;
        g.fillRect(x, y, side, side);
        let top = y + 3;
        if (grid.size >= NAMED) {
          g.fillStyle = text;
          g.font = '11px system-ui, sans-serif';
          g.fillText(node.name, x + 5, y + 14, side - 8);
          top = y + 20;
        }
        const pods = this.byNode.get(node.name) || [];
        if (!pods.length) return;
        const room = y + side - top - 2;
        let dot = Math.min(12, Math.floor(Math.sqrt(((side - 6) * room) / pods.length)));
        while (dot > 1 && Math.floor((side - 6) / dot) * Math.floor(room / dot) < pods.length) --dot;
        dot = Math.max(dot, 1);
        const across = Math.max(1, Math.floor((side - 6) / dot));
        pods.forEach((pod, k) => {
          const py = top + Math.floor(k / across) * dot;
          if (py + dot > y + side) return;
          g.fillStyle = tones[pod.tone];
          g.fillRect(x + 4 + (k % across) * dot, py, Math.max(1, dot - (dot > 3 ? 2 : 0)), Math.max(1, dot - (dot > 3 ? 2 : 0)));
        });
      });
    },
    move(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      this.x = event.clientX - box.left;
      this.y = event.clientY - box.top;
      const column = Math.floor(this.x / this.grid.size);
      const index = Math.floor(this.y / this.grid.size) * this.grid.columns + column;
      this.hover = (column < this.grid.columns && this.nodes[index]) || null;
    },
  },
  template: `<div class="grid" ref="box">
    <canvas ref="canvas" role="img" :aria-label="nodes.length + ' nodes with ' + pods.length + ' pods'" @mousemove="move" @mouseleave="hover = null"></canvas>
    <p v-if="waiting" class="waiting"><i class="dot pending"></i>{{waiting}} pods wait for a node</p>
    <div v-if="hover" class="tip" :style="{left: Math.min(x + 14, 700) + 'px', top: y + 14 + 'px'}">
      <b>{{hover.name}}</b> {{hover.zone}}<br>
      {{hover.ready === 'True' ? 'ready' : 'not ready'}}<span v-if="hover.cordoned">, cordoned</span><span v-if="hover.taints">, {{hover.taints}} taints</span><br>
      cpu {{hover.capacity.cpu}}, memory {{hover.capacity.memory}}<br>{{hoverPods.length}} of {{hover.capacity.pods}} pods
      <span v-for="p in hoverPods.slice(0, 12)" :key="p.uid"><br><i class="dot" :class="p.tone"></i>{{p.ns}}/{{p.name}} {{p.status}}</span>
      <span v-if="hoverPods.length > 12"><br>…</span>
    </div></div>`,
};
