//! A chart as SVG: frame, axes, lines and their names. Each is drawn twice, with text of the same size in a narrow and a
//! wide frame; the style sheet shows one of them.

use std::fmt::Write;

use super::escape::Text;
use super::scale::Scale;

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Unique on the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What there is to see, for people who do not.
    pub(super) says: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) scale: Scale,
    /// A value for people.
    pub(super) label: fn(f64) -> String,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Colour and dashes: the class `line-…` of the style sheet.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Size of a drawing and of what stands around the frame.
struct Frame {
    class: &'static str,
    width: f64,
    height: f64,
    left: f64,
    bottom: f64,
    ticks: (u32, u32),
}

const TOP: f64 = 26.0;
const RIGHT: f64 = 16.0;
const FRAMES: [Frame; 2] = [
    Frame { class: "wide", width: 640.0, height: 300.0, left: 58.0, bottom: 46.0, ticks: (8, 5) },
    Frame { class: "narrow", width: 340.0, height: 260.0, left: 54.0, bottom: 46.0, ticks: (4, 4) },
];
/// Width of a character of a label, at most, and the room between two labels.
const CHARACTER: f64 = 6.8;
const ROOM: f64 = 6.0;
/// More points than this are not hovered over.
const MOST_DOTS: usize = 120;

impl Chart {
    /// A `figure` with both drawings and the names of the lines.
    pub(super) fn figure(&self) -> String {
        let mut out = format!("<figure class=\"card\"><figcaption>{}</figcaption>", Text(self.title));
        if self.lines.iter().all(|line| line.points.is_empty()) {
            out.push_str("<p class=\"none\">Nothing to draw: no answer came.</p></figure>");
            return out;
        }
        out.push_str("<p class=\"legend\">");
        for line in &self.lines {
            write_to(
                &mut out,
                format_args!(
                    "<span><svg class=\"key\" viewBox=\"0 0 26 10\" aria-hidden=\"true\"><line class=\"line {}\" x1=\"1\" y1=\"5\" x2=\"25\" y2=\"5\"/></svg>{}</span> ",
                    line.class,
                    Text(line.name)
                ),
            );
        }
        out.push_str("</p>");
        for frame in &FRAMES {
            self.draw(frame, &mut out);
        }
        out.push_str("</figure>");
        out
    }

    fn draw(&self, frame: &Frame, out: &mut String) {
        let id = format!("{}-{}", self.id, frame.class);
        write_to(
            out,
            format_args!(
                "<svg class=\"plot {}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
                frame.class,
                frame.width,
                frame.height,
                Text(self.title),
                Text(&self.says)
            ),
        );
        self.axes(frame, out);
        for line in &self.lines {
            self.line(line, frame, out);
        }
        out.push_str("</svg>");
    }

    fn axes(&self, frame: &Frame, out: &mut String) {
        let (right, base) = (frame.width - RIGHT, frame.height - frame.bottom);
        for tick in self.y.scale.ticks(frame.ticks.1) {
            let y = frame.y(tick.at);
            write_to(
                out,
                format_args!(
                    "<line class=\"grid\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    frame.left,
                    frame.left - 6.0,
                    y + 4.0,
                    Text(&(self.y.label)(tick.value))
                ),
            );
        }
        self.below(frame, out);
        write_to(
            out,
            format_args!(
                "<line class=\"axis\" x1=\"{:.1}\" y1=\"{base:.1}\" x2=\"{right:.1}\" y2=\"{base:.1}\"/><text class=\"name\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text><text class=\"name\" x=\"2\" y=\"12\">{}</text>",
                frame.left,
                f64::midpoint(frame.left, right),
                frame.height - 6.0,
                Text(self.x.name),
                Text(self.y.name)
            ),
        );
    }

    /// What stands below the horizontal axis; a label for which there is no room is left out.
    fn below(&self, frame: &Frame, out: &mut String) {
        let (right, base) = (frame.width - RIGHT, frame.height - frame.bottom);
        let mut taken = 0.0;
        for tick in self.x.scale.ticks(frame.ticks.0) {
            let (x, label) = (frame.x(tick.at), (self.x.label)(tick.value));
            write_to(
                out,
                format_args!(
                    "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{base:.1}\"/>"
                ),
            );
            #[expect(clippy::cast_precision_loss, reason = "a short label")]
            let width = label.chars().count() as f64 * CHARACTER;
            // The last one would stick out, if it stood in the middle of its mark.
            let middle = x.min(right - width / 2.0 + 4.0);
            if middle - width / 2.0 >= taken {
                taken = middle + width / 2.0 + ROOM;
                write_to(
                    out,
                    format_args!(
                        "<text class=\"tick\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>",
                        base + 17.0,
                        Text(&label)
                    ),
                );
            }
        }
    }

    fn line(&self, line: &Line, frame: &Frame, out: &mut String) {
        let place = |(x, y): &(f64, f64)| (frame.x(self.x.scale.at(*x)), frame.y(self.y.scale.at(*y)));
        match line.points.as_slice() {
            [] => return,
            [only] => {
                let (x, y) = place(only);
                write_to(
                    out,
                    format_args!(
                        "<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>",
                        line.class
                    ),
                );
            }
            points => {
                write_to(out, format_args!("<polyline class=\"line {}\" points=\"", line.class));
                for (x, y) in points.iter().map(place) {
                    write_to(out, format_args!("{x:.1},{y:.1} "));
                }
                out.push_str("\"/>");
            }
        }
        if line.points.len() <= MOST_DOTS {
            self.dots(line, frame, out);
        }
    }

    /// Places that say their value when they are pointed at.
    fn dots(&self, line: &Line, frame: &Frame, out: &mut String) {
        for (x, y) in &line.points {
            write_to(
                out,
                format_args!(
                    "<circle class=\"hover\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"><title>{} · {}: {}</title></circle>",
                    frame.x(self.x.scale.at(*x)),
                    frame.y(self.y.scale.at(*y)),
                    Text(&(self.x.label)(*x)),
                    Text(line.name),
                    Text(&(self.y.label)(*y))
                ),
            );
        }
    }
}

impl Frame {
    fn x(&self, share: f64) -> f64 {
        self.left + share * (self.width - self.left - RIGHT)
    }

    fn y(&self, share: f64) -> f64 {
        let base = self.height - self.bottom;
        base - share * (base - TOP)
    }
}

/// Writing to a string cannot fail.
pub(super) fn write_to(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let axis = |scale| Axis { name: "<x>", scale, label: |value| format!("{value}&") };
        Chart {
            id: "c",
            title: "A & B",
            says: "<desc>".into(),
            x: axis(Scale::Linear(10.0)),
            y: axis(Scale::Linear(4.0)),
            lines: vec![Line { name: "p99<", class: "line-a", points }],
        }
    }

    #[test]
    fn lines_lie_where_the_scales_say() {
        let svg = chart(vec![(0.0, 0.0), (10.0, 4.0)]).figure();
        assert!(svg.contains("points=\"58.0,254.0 624.0,26.0 \""), "{svg}");
        assert!(svg.contains("points=\"54.0,214.0 324.0,26.0 \""), "{svg}");
        assert_eq!(svg.matches("role=\"img\"").count(), 2);
    }

    #[test]
    fn all_text_is_escaped() {
        let svg = chart(vec![(1.0, 1.0)]).figure();
        for text in ["A &amp; B", "&lt;desc&gt;", "&lt;x&gt;", "p99&lt;", "1&amp;"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("<x>") && !svg.contains("<desc>\n"));
        assert!(svg.contains("class=\"dot line-a\""), "one point is a dot");
    }

    #[test]
    fn labels_leave_each_other_room() {
        let mut chart = chart(vec![(0.0, 0.0), (99.9, 4.0)]);
        chart.x =
            Axis { name: "p", scale: Scale::of_percentiles(1_000_000), label: |value| format!("{value}") };
        let svg = chart.figure();
        let (wide, narrow) = svg.split_once("plot narrow").unwrap();
        assert!(
            wide.contains(">99.99<") && wide.contains(">99.999<") && wide.contains(">99.9999<"),
            "{wide}"
        );
        assert!(narrow.contains(">99.999<") && !narrow.contains(">99.9999<"), "{narrow}");
    }

    #[test]
    fn a_chart_without_points_says_so() {
        let svg = chart(vec![]).figure();
        assert!(svg.contains("Nothing to draw") && !svg.contains("polyline"));
    }
}
