package io.malleable.bench;

import java.util.List;
import java.util.Locale;

/**
 * Horizontal bars with their spread as a thin line, one group per workload, as a standalone SVG.
 */
final class BarChart {
  /**
   * One bar.
   *
   * @param series index into the series of the chart
   */
  record Bar(int series, double value, double min, double max, String label) {}

  /** Bars that belong together. */
  record Group(String title, List<Bar> bars) {}

  private static final String[] COLOURS = {
    "#2a6f97", "#89c2d9", "#c1666b", "#d4b483", "#6b705c", "#8e6c8a"
  };
  private static final int WIDTH = 960;
  private static final int LEFT = 330;
  private static final int BAR_AREA = 470;
  private static final int BAR_HEIGHT = 16;
  private static final int GROUP_GAP = 18;
  private static final int TOP = 64;

  private BarChart() {}

  /** Draws the chart; the bars of each group are scaled to the group's longest. */
  static String draw(String title, List<String> series, List<Group> groups) {
    StringBuilder svg = new StringBuilder();
    int height = TOP + 10;
    for (Group group : groups) {
      height += group.bars().size() * (BAR_HEIGHT + 3) + GROUP_GAP;
    }
    svg.append(
        String.format(
            Locale.ROOT,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">%n",
            WIDTH,
            height));
    svg.append(
        String.format(
            Locale.ROOT, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>%n", WIDTH, height));
    svg.append(
        String.format(
            Locale.ROOT,
            "<text x=\"16\" y=\"24\" font-size=\"16\" fill=\"#222222\">%s</text>%n",
            escape(title)));
    int x = 16;
    for (int i = 0; i < series.size(); i++) {
      svg.append(
          String.format(
              Locale.ROOT,
              "<rect x=\"%d\" y=\"38\" width=\"12\" height=\"12\" fill=\"%s\"/>%n",
              x,
              COLOURS[i]));
      svg.append(
          String.format(
              Locale.ROOT,
              "<text x=\"%d\" y=\"48\" fill=\"#222222\">%s</text>%n",
              x + 17,
              escape(series.get(i))));
      x += 34 + 7 * series.get(i).length();
    }
    int y = TOP;
    for (Group group : groups) {
      y = drawGroup(svg, group, y);
    }
    svg.append("</svg>\n");
    return svg.toString();
  }

  private static int drawGroup(StringBuilder svg, Group group, int top) {
    double longest = group.bars().stream().mapToDouble(Bar::max).max().orElse(1);
    int middle = top + group.bars().size() * (BAR_HEIGHT + 3) / 2 + 4;
    svg.append(
        String.format(
            Locale.ROOT,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#222222\">%s</text>%n",
            LEFT - 10,
            middle,
            escape(group.title())));
    int y = top;
    for (Bar bar : group.bars()) {
      double scale = BAR_AREA / longest;
      svg.append(
          String.format(
              Locale.ROOT,
              "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>%n",
              LEFT,
              y,
              Math.max(1, bar.value() * scale),
              BAR_HEIGHT,
              COLOURS[bar.series()]));
      svg.append(
          String.format(
              Locale.ROOT,
              "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#222222\"/>%n",
              LEFT + bar.min() * scale,
              y + BAR_HEIGHT / 2,
              LEFT + bar.max() * scale,
              y + BAR_HEIGHT / 2));
      svg.append(
          String.format(
              Locale.ROOT,
              "<text x=\"%.1f\" y=\"%d\" fill=\"#222222\">%s</text>%n",
              LEFT + bar.max() * scale + 6,
              y + BAR_HEIGHT - 4,
              escape(bar.label())));
      y += BAR_HEIGHT + 3;
    }
    return y + GROUP_GAP;
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
