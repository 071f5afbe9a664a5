//! The scalings drawn: ours as bars with the gate as a line, and what KVM-HV reached beside them.

use super::{Figures, KVM_HV, gates::LEAST_RATIO};
use anyhow::Result;
use plotters::prelude::*;

/// Pixels.
const SIZE: (u32, u32) = (900, 420);
/// Colours that people who see fewer of them tell apart as well (Okabe and Ito).
const OURS: RGBColor = RGBColor(0, 114, 178);
const THEIRS: RGBColor = RGBColor(230, 159, 0);
const GATE: RGBColor = RGBColor(213, 94, 0);
const TITLE: u32 = 20;
const TEXT: u32 = 14;
/// Pixels above and below a bar.
const GAP: u32 = 22;

/// Draws everything.
pub fn draw(figures: &Figures) -> Result<String> {
    // From the bottom up.
    let bars = [
        ("KVM-HV, first touch".to_owned(), KVM_HV[1], THEIRS, format!("{} to {}", KVM_HV[0], KVM_HV[1])),
        ("first touch, 4K".to_owned(), figures.touch, OURS, format!("{:.2}", figures.touch)),
        ("null hcall".to_owned(), figures.null, OURS, format!("{:.2}", figures.null)),
    ];
    let gate = figures.null * LEAST_RATIO;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("Two vCPUs on two CPUs over one, powernv10", ("sans-serif", TITLE))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(170)
            .build_cartesian_2d(0.0..2.3f64, (0..bars.len() - 1).into_segmented())?;
        let name = |at: &SegmentValue<usize>| match at {
            SegmentValue::CenterOf(index) => bars.get(*index).map_or_else(String::new, |bar| bar.0.clone()),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .y_labels(bars.len() + 1)
            .y_label_formatter(&name)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .x_desc("what two do in a while, over what one does")
            .label_style(("sans-serif", TEXT))
            .draw()?;
        chart.draw_series(bars.iter().enumerate().map(|(index, (_, value, colour, _))| {
            let corners = [(0.0, SegmentValue::Exact(index)), (*value, SegmentValue::Exact(index + 1))];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(GAP, GAP, 0, 0);
            bar
        }))?;
        chart.draw_series(bars.iter().enumerate().map(|(index, (_, value, _, label))| {
            let text = Text::new(label.clone(), (6, -7), ("sans-serif", TEXT));
            EmptyElement::at((*value, SegmentValue::CenterOf(index))) + text
        }))?;
        let line = [(gate, SegmentValue::Exact(1)), (gate, SegmentValue::Exact(2))];
        chart
            .draw_series(LineSeries::new(line, GATE.stroke_width(2)))?
            .label(format!("{LEAST_RATIO} of null hcalls' scaling"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], GATE.stroke_width(2)));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", TEXT))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scalings_the_gate_and_the_peer_are_drawn() {
        let figures = Figures { null: 1.97, touch: 1.93, ratio: 0.98, null_rate: 1.0, touch_rate: 1.0, locks: Some(0) };
        let svg = draw(&figures).unwrap();
        for text in ["null hcall", "1.97", "1.93", "KVM-HV", "1.72 to 1.83", "0.95 of null"] {
            assert!(svg.contains(text), "{text} is not in the drawing");
        }
    }
}
