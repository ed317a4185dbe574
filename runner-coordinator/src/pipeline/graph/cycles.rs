//! Finding a circle of needs.

use std::collections::HashMap;

/// A circle in a graph, as positions of its members in order; `None` if there is none. Takes no stack.
pub(super) fn find(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    // Remove again and again what nothing left over points to; what remains consists of circles and paths between them.
    let mut incoming = vec![0_usize; edges.len()];
    for target in edges.iter().flatten() {
        if let Some(count) = incoming.get_mut(*target) {
            *count += 1;
        }
    }
    let mut free: Vec<usize> = (0..edges.len()).filter(|node| incoming[*node] == 0).collect();
    let mut removed = vec![false; edges.len()];
    while let Some(node) = free.pop() {
        removed[node] = true;
        for target in &edges[node] {
            if let Some(count) = incoming.get_mut(*target) {
                *count -= 1;
                if *count == 0 {
                    free.push(*target);
                }
            }
        }
    }
    // Every remaining node has a predecessor that remains; walking backwards must come round.
    let mut before: HashMap<usize, usize> = HashMap::new();
    for (node, targets) in edges.iter().enumerate().filter(|(node, _)| !removed[*node]) {
        for target in targets.iter().filter(|target| removed.get(**target) == Some(&false)) {
            before.entry(*target).or_insert(node);
        }
    }
    let mut at = (0..edges.len()).find(|node| !removed[*node])?;
    let mut path = Vec::new();
    let mut seen = HashMap::new();
    loop {
        if let Some(start) = seen.get(&at) {
            let mut circle: Vec<usize> = path.split_off(*start);
            circle.reverse();
            return Some(circle);
        }
        seen.insert(at, path.len());
        path.push(at);
        at = *before.get(&at)?;
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_circles_and_nothing_else() {
        assert_eq!(find(&[vec![1], vec![2], vec![]]), None);
        assert_eq!(find(&[vec![0]]), Some(vec![0]));
        let circle = find(&[vec![1], vec![2], vec![1], vec![1]]).unwrap();
        assert!(circle == [1, 2] || circle == [2, 1]);
        let long: Vec<Vec<usize>> = (0..100_000).map(|node| vec![(node + 1) % 100_000]).collect();
        assert_eq!(find(&long).unwrap().len(), 100_000);
    }
}
